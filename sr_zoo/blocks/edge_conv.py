"""A 3x3 convolution that trains with edge filters beside it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.constants import Constants
from sr_zoo.blocks.reparam import ParallelConvs, new_conv
from sr_zoo.blocks.reparameterisable import Reparameterisable

SOBEL = ((1.0, 2.0, 1.0), (0.0, 0.0, 0.0), (-1.0, -2.0, -1.0))  # upper rows minus lower
LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
SCALE_STD = 1e-3  # of the filters' gains and biases before training
EXPANSION = 2  # width inside the expanded branch over that of the output


class FilterConv(Constants, Reparameterisable):
    """A fixed 3x3 filter on every channel, with a learned gain and bias per channel; no padding.

    Shape: (N, channels, H, W) to (N, channels, H - 2, W - 2).

    Args:
        channels: Width of the input and of the output.
        kernel: (3, 3); no weight, and kept out of the state dict.
    """

    kernel: Tensor

    def __init__(self, channels: int, kernel: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(channels, 1, 1, 1) * SCALE_STD)
        self.bias = nn.Parameter(torch.randn(channels) * SCALE_STD)
        self.register_constant("kernel", torch.tensor, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.scale * self.kernel, self.bias, groups=x.shape[1])

    def fuse(self) -> nn.Conv2d:
        weight = self.scale * self.kernel
        return new_conv(weight, self.bias, like=self.scale, padding=(0, 0), groups=weight.shape[0])


class EdgeOrientedConv(ParallelConvs):
    """A 3x3 convolution, a wider one squeezed through 1x1, and three edge filters, added up.

    Source: Zhang et al., ECBSR, ACM MM 2021, the edge-oriented convolution block (ECB) without its
    activation. The branches fuse into one 3x3 convolution.

    Shape: (N, in_channels, H, W) to (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        wide = EXPANSION * out_channels
        filters = {
            "sobel_x": tuple(zip(*SOBEL, strict=True)),
            "sobel_y": SOBEL,
            "laplacian": LAPLACIAN,
        }
        branches: dict[str, nn.Module] = {
            "plain": nn.Conv2d(in_channels, out_channels, 3, padding=1),
            # zeros are padded before the 1x1, so that it gives its bias there and all can be merged
            "expanded": nn.Sequential(
                nn.Conv2d(in_channels, wide, 1, padding=1), nn.Conv2d(wide, out_channels, 3)
            ),
        }
        for name, kernel in filters.items():
            branches[name] = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, padding=1),
                FilterConv(out_channels, kernel),
            )
        super().__init__(in_channels, branches)


class IdentityEdgeOrientedConv(EdgeOrientedConv):
    """An `EdgeOrientedConv` that also adds its input, where that has the output's width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        if in_channels == out_channels:
            self["identity"] = nn.Identity()
