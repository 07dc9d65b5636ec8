"""PyTorch, operation by operation or compiled by torch itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from sr_zoo.atomic import make_writable
from sr_zoo.blocks.hooked import copy_of
from sr_zoo.blocks.tile_view import whole_image
from sr_zoo.errors import OptionError
from sr_zoo.heap import STRIPS, WHOLE_MAPS, memory_kept
from sr_zoo.inference.runtimes.kernels import CPUKernels
from sr_zoo.inference.runtimes.runner import Runner
from sr_zoo.network import SRNetwork, device_of, weight_of
from sr_zoo.weights.cache import cache_folder, filling_cache


class TorchRunner(Runner):
    """Runs the network itself, over channels-last memory.

    Args:
        network: In evaluation mode, on the device to use. It is kept and laid out anew, its values
            stay.
        dtype: Floating-point type to compute in; another than the network's takes a copy.
    """

    name = "torch"
    sees_views = True

    def __init__(self, network: SRNetwork, dtype: torch.dtype = torch.float32) -> None:
        self.scale = network.scale
        self._dtype = dtype
        self._limits = STRIPS if network.in_strips else WHOLE_MAPS
        self._network: Callable[[Tensor], Tensor] = _channels_last(
            network if weight_of(network).dtype == dtype else copy_of(network).to(dtype)
        )

    def __call__(self, image: Tensor, /) -> Tensor:
        # copied even where it lies so: `contiguous` keeps the stride of a single image, and by an
        # unusual one layers take it for laid out plane by plane
        image = image.to(self._dtype).clone(memory_format=torch.channels_last)
        with memory_kept(self._limits) if image.is_cpu else nullcontext():
            return self._compute(image).float()

    def _compute(self, image: Tensor) -> Tensor:
        with CPUKernels() if image.is_cpu else nullcontext():
            return self._network(image)


class CompiledRunner(TorchRunner):
    """Runs the network as `torch.compile` translates it, for all sizes at once.

    torch keeps what it compiles on disk, so that the next process starts faster. The first image
    waits for the compiler.

    Raises:
        OptionError: The network is on the CPU, and there is no C++ compiler.
        FileWriteError: The cache cannot be written to.
    """

    name = "compile"
    sees_views = False

    def __init__(self, network: SRNetwork, dtype: torch.dtype = torch.float32) -> None:
        on_cpu = device_of(network).type == "cpu"
        if on_cpu and not any(shutil.which(name) for name in _compilers()):
            raise OptionError(
                "runtime='compile' needs a C++ compiler such as g++, and finds none; install one, "
                "or use another runtime"
            )
        if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
            folder = cache_folder() / "runtimes" / "torch"
            with filling_cache():
                make_writable(folder)
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
        super().__init__(network, dtype)
        self._network = torch.compile(self._network, dynamic=True)

    def _compute(self, image: Tensor) -> Tensor:
        with whole_image():
            return self._network(image)


def _compilers() -> tuple[str, ...]:
    """Return the names of C++ compilers that torch can work with, the user's own first."""
    return (os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl")


def _channels_last(network: SRNetwork) -> SRNetwork:
    """Lay the weights of 2-d convolutions out as they run fastest."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    return network
