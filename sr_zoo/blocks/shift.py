"""Channels that read their neighbours, so that a 1x1 convolution sees a 3x3 surrounding."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def shift_channels(x: Tensor, offsets: Sequence[tuple[int, int]]) -> Tensor:
    """Let each group of channels read a neighbouring pixel, black outside the picture.

    A 1x1 convolution after it sees as far as a 3x3 one at the price of a 1x1. Source: Wu et al.,
    Shift, CVPR 2018; in super-resolution ELAN (Zhang et al., ECCV 2022).

    Args:
        x: (N, C, H, W).
        offsets: For each of as many equal groups of channels, (down, right) from a pixel to the one
            that is read: -1, 0 or 1. The last group takes the channels that are left over.

    Returns:
        (N, C, H, W).
    """
    size = x.shape[1] // len(offsets)
    sizes = [size] * (len(offsets) - 1)
    sizes.append(x.shape[1] - sum(sizes))
    if x.device.type == "cpu":  # a convolution reads and writes once, slices do so twice and more
        read = [
            3 * (1 + down) + 1 + right
            for count, (down, right) in zip(sizes, offsets, strict=True)
            for _ in range(count)
        ]
        kernels = torch.eye(9, dtype=x.dtype)[read].unflatten(1, (1, 3, 3))
        return F.conv2d(x, kernels, padding=1, groups=x.shape[1])
    height, width = x.shape[-2:]
    groups = torch.split(F.pad(x, (1, 1, 1, 1)), sizes, dim=1)
    return torch.cat(
        [
            group[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width]
            for group, (down, right) in zip(groups, offsets, strict=True)
        ],
        dim=1,
    )


class ShiftConv(nn.Module):
    """Two 1x1 convolutions that together see a 3x3 surrounding, by a shift in the middle.

    Each eighth of the channels in the middle moves by one pixel, one per direction; none stays.
    Source: SCNet (Wu et al., Machine Intelligence Research 2024), section 3.2.

    Shape: (N, in_channels, H, W) to (N, out_channels, H, W).

    Args:
        in_channels: Width of the input and in the middle; a multiple of 8.
        out_channels: Width of the output.
        act: Builds the activation in the middle.

    Raises:
        ValueError: `in_channels` is no multiple of 8.
    """

    OFFSETS = ((-1, 0), (1, 0), (0, -1), (0, 1), (1, 1), (1, -1), (-1, 1), (-1, -1))

    def __init__(
        self, in_channels: int, out_channels: int, *, act: Callable[[], nn.Module] = nn.ReLU
    ) -> None:
        if in_channels % len(self.OFFSETS):
            raise ValueError(
                f"in_channels must be a multiple of {len(self.OFFSETS)}, got {in_channels}"
            )
        super().__init__()
        self.expand = nn.Conv2d(in_channels, in_channels, 1)
        self.act = act()
        self.project = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(shift_channels(self.act(self.expand(x)), self.OFFSETS))
