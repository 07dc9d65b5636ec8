"""What a network costs: the columns of the papers' tables.

One convention: a multiply-add counts one, in convolutions, linear layers and matrix products (those
of attention included); element-wise operations, normalisation and interpolation count nothing. The
output has 1280x720 pixels; the LR image is rounded up where the scale does not divide them. Shapes
alone decide, so nothing is computed: the network runs on torch's meta device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

from sr_zoo.blocks import Interpolation
from sr_zoo.blocks.hooked import copy_of
from sr_zoo.inference.memory import PeakMemory
from sr_zoo.inference.timing import timed
from sr_zoo.network import SRNetwork, weight_of

OUTPUT_SIZE = (720, 1280)
MIN_RUNS = 3


@dataclass(frozen=True)
class Complexity:
    """What one forward pass costs, whatever the machine.

    Attributes:
        num_params: Learned parameters.
        macs: Multiply-adds.
        activations: Elements of the outputs of all convolutions.
        peak_memory: Most bytes that tensors other than weights occupy at one time, when layers run
            one after the other and none needs scratch space.
    """

    num_params: int
    macs: int
    activations: int
    peak_memory: int


@dataclass(frozen=True)
class Speed:
    """How fast one forward pass was on one device.

    Attributes:
        latency: Median seconds of a pass.
        peak_memory: Most bytes allocated on a CUDA device, weights included; None on others.
    """

    latency: float
    peak_memory: int | None


def count_complexity(network: SRNetwork, output_size: tuple[int, int] = OUTPUT_SIZE) -> Complexity:
    """Count what a network costs for an output of a given height and width.

    Args:
        network: Neither changed nor run on its own device.
        output_size: Height and width in HR pixels.
    """
    abstract = copy_of(network).to("meta").eval()
    height, width = (math.ceil(side / network.scale) for side in output_size)
    dtype = weight_of(network).dtype
    image = torch.empty(1, 3, height, width, dtype=dtype, device="meta")
    with torch.no_grad(), _Counter() as counter:
        for unit in abstract.modules():
            if isinstance(unit, Interpolation):  # a convolution, but of nothing learned
                unit.register_forward_pre_hook(lambda *_: counter.pause())
                unit.register_forward_hook(lambda *_: counter.resume())
        abstract(image)
    return Complexity(
        num_params=sum(p.numel() for p in network.parameters()),
        macs=counter.macs,
        activations=counter.activations,
        peak_memory=counter.peak,
    )


@torch.inference_mode()
def measure_speed(
    network: SRNetwork, output_size: tuple[int, int] = OUTPUT_SIZE, *, seconds: float = 5.0
) -> Speed:
    """Time a network where it is, with its own type and torch's current number of threads.

    Args:
        network: In evaluation mode.
        output_size: Height and width in HR pixels.
        seconds: About how long to repeat; three runs are timed even if they take longer.
    """
    weight = weight_of(network)
    cuda = weight.device.type == "cuda"
    height, width = (math.ceil(side / network.scale) for side in output_size)
    image = torch.rand(1, 3, height, width).to(weight)
    if cuda:
        torch.cuda.reset_peak_memory_stats(weight.device)
    network(image)  # the first run chooses algorithms and allocates
    runs: list[float] = []
    while len(runs) < MIN_RUNS or sum(runs) < seconds:
        runs.append(timed(network, image).seconds)
    memory = torch.cuda.max_memory_allocated(weight.device) if cuda else None
    return Speed(median(runs), memory)


class _Counter(PeakMemory):
    """Adds up what operations do and return, beside the memory they take."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.activations = 0
        self._counts = True

    def pause(self) -> None:
        """Add up nothing but memory."""
        self._counts = False

    def resume(self) -> None:
        """Add up everything again."""
        self._counts = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if not self._counts:
            return result
        operation = func.overloadpacket
        if operation in flop_registry:
            self.macs += flop_registry[operation](*args, **(kwargs or {}), out_val=result) // 2
        if operation is torch.ops.aten.convolution:
            self.activations += result.numel()
        return result
