"""Programs that are prepared once per network and kept on disk: OpenVINO, ONNX Runtime and ncnn.

A network is exported for all sizes, compared with PyTorch, and kept under a name made of its
weights and of the versions of what exported it. OpenVINO keeps what it compiles for this machine
beside it, by its own version and the processor's features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sr_zoo import __version__
from sr_zoo.atomic import make_folder
from sr_zoo.errors import ExportError, OptionError
from sr_zoo.inference.runtimes.runner import Runner
from sr_zoo.network import SRNetwork
from sr_zoo.weights.cache import cache_folder, filling_cache

if TYPE_CHECKING:
    from sr_zoo.export.openvino import Program

# names of the runtimes and of their packages, to the format that each reads
PREPARED = {"openvino": "onnx", "onnxruntime": "onnx", "ncnn": "ncnn"}
NEEDS = {"onnx": ("onnx", "onnxscript"), "ncnn": ("pnnx",)}  # to write such a file
FILES = {"onnx": "network.onnx", "ncnn": "network.ncnn.param"}
LOWER = {"openvino": torch.bfloat16}  # what they compute in beside float32


class PreparedRunner(Runner):
    """Runs a network's exported program on the CPU, with as many threads as torch has.

    The first time that a network is met it is exported, which takes a while; later processes find
    the file. One that is damaged by then is made again. A copy of a runner, and one that was sent
    to another process, opens the file anew.

    Args:
        name: One of `PREPARED`.
        network: As built by `create_model`; its weights are read, it is not kept.
        dtype: float32; OpenVINO takes bfloat16 too.
        prepare: Whether to export a network whose file is missing or damaged.

    Raises:
        OptionError: A package is missing, or the runtime does not compute in `dtype`.
        ExportError: The network cannot be exported, or its file cannot be opened.
        FileWriteError: The cache cannot be written to, or the disk is full.
    """

    sees_views = False

    def __init__(
        self,
        name: str,
        network: SRNetwork,
        dtype: torch.dtype = torch.float32,
        *,
        prepare: bool = True,
    ) -> None:
        if absent := missing(name):
            raise OptionError(
                f"runtime={name!r} needs {', '.join(absent)}: pip install 'sr_zoo[runtime]'"
            )
        if not computes_in(name, dtype):
            raise OptionError(f"The runtime {name!r} does not compute in {dtype}; use float32")
        self.name = name
        self.scale = network.scale
        self._file = prepared_file(name, network)
        self._dtype = dtype
        if prepare and not is_there(self._file):
            _prepare(name, network, self._file)
        try:
            self._open()
        except ExportError:
            if not prepare:
                raise
            _prepare(name, network, self._file)
            self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("_run", "_program")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def __call__(self, image: Tensor, /) -> Tensor:
        return self._run(image)

    def settle(self, image: Tensor, /) -> None:
        if self._program is not None:
            self._program.settle(tuple(image.shape))
        super().settle(image)

    def _open(self) -> None:
        # these import the upscaler, which imports this
        from sr_zoo.export.exporting import open_exported
        from sr_zoo.export.openvino import Program

        self._program: Program | None = None
        if self.name == "openvino":
            cache = self._file.parent / "openvino"
            self._program = Program(self._file, dtype=self._dtype, cache=cache)
        self._run: Callable[[Tensor], Tensor] = self._program or open_exported(self._file).run


def computes_in(name: str, dtype: torch.dtype) -> bool:
    """Whether a runtime computes in a floating-point type; PyTorch's own do in all."""
    return name not in PREPARED or dtype in (torch.float32, LOWER.get(name))


def missing(name: str) -> list[str]:
    """Return the packages that a runtime needs and that are not installed."""
    return [package for package in (name, *NEEDS[PREPARED[name]]) if find_spec(package) is None]


def prepared_file(name: str, network: SRNetwork) -> Path:
    """Return where the program that a runtime reads is, or will be once it is prepared."""
    identity = network.identity
    digest = hashlib.sha256(
        json.dumps(
            [__version__, torch.__version__, identity and [identity.name, identity.arguments]],
            default=str,
        ).encode()
    )
    for key, values in network.state_dict().items():
        digest.update(key.encode())
        digest.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return cache_folder() / "runtimes" / digest.hexdigest() / FILES[PREPARED[name]]


def is_there(file: Path) -> bool:
    """Whether a program is prepared; where the cache cannot be looked into, it is not."""
    with suppress(OSError):
        return file.is_file()
    return False


def _prepare(name: str, network: SRNetwork, file: Path) -> None:
    """Export a network in the place of whatever is there."""
    from sr_zoo.export import export_model  # it imports the upscaler, which imports this

    with filling_cache():
        make_folder(file.parent)
        for damaged in (file, file.with_suffix(".bin")):
            with suppress(OSError):  # exporting says why it cannot be replaced
                damaged.unlink()
        export_model(network, file, to=PREPARED[name])
