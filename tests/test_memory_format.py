"""Maps stay in channels-last memory from layer to layer, where convolutions run fastest.

A layer that lays its output out plane by plane is not wrong, and nothing tells of it but the time:
1x1 and depthwise convolutions keep what they are given, all to the end of the network.
"""

from contextlib import nullcontext

import pytest
import torch
from thin import build_thin
from torch.utils._python_dispatch import TorchDispatchMode

import sr_zoo
from sr_zoo.blocks import TileView
from sr_zoo.inference.runtimes.eager import TorchRunner
from sr_zoo.registry import spec_of

MOST = 0.1  # of the multiplications
# begins with an interpolated image, of one channel, whose layout cannot be told
INTERPOLATING = {"srcnn"}
CONVOLUTIONS = {
    torch.ops.aten.conv2d.default,
    torch.ops.aten.convolution.default,
    torch.ops.aten.mkldnn_convolution.default,
}
CONVOLUTIONAL = [
    name
    for name in sr_zoo.list_models()
    if "transformer" not in spec_of(name).tags and name not in INTERPOLATING
]


class Multiplications(TorchDispatchMode):
    """Counts those of convolutions, by whether their input lies plane by plane."""

    def __init__(self):
        super().__init__()
        self.total = self.by_planes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in CONVOLUTIONS:
            x, weight = args[:2]
            count = weight.numel() * x.shape[-2] * x.shape[-1]
            self.total += count
            if x.shape[1] > 1 and x.stride(1) > 1:
                self.by_planes += count
        return function(*args, **(kwargs or {}))


def in_a_tile():
    return TileView((64, 192), (0, 0), (64, 96), (0, 0), (64, 96)).active()


@pytest.mark.parametrize("seen_by", [nullcontext, in_a_tile])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutions_are_given_channels_last_maps(name, seen_by):
    network = build_thin(name, max(s for s in sr_zoo.model_info(name).scales if s <= 4))
    runner = TorchRunner(sr_zoo.fuse(network))
    with torch.inference_mode(), seen_by(), Multiplications() as seen:
        runner(torch.rand(64, 96, 3).permute(2, 0, 1)[None])  # as photos are read
    assert seen.total > 0
    assert seen.by_planes <= MOST * seen.total
