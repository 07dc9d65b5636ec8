"""Feature modulation: features multiplied by what a coarse view of their surroundings says."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.cells import max_pool_to_cells, spread_cells
from sr_zoo.blocks.resized import resize_pooled


class SAFM(nn.Module):
    """Spatially-adaptive feature modulation: features gated by views of several coarsenesses.

    The channels are split evenly; each part is max-pooled to its own cells, sees its neighbours
    through a depthwise convolution and is resized back. Together, mixed by a 1x1, they gate the
    input. Source: SAFMN (Sun et al., ICCV 2023), section 3.2.

    Shape: (N, channels, H, W) to the same; H, W >= the largest of `cells`.

    Args:
        channels: Width of the input and of the output; a multiple of the number of `cells`.
        cells: Per part, the side of its cells in pixels; 1 leaves it at full size.
        bias: Whether the convolutions have one.

    Raises:
        ValueError: `channels` cannot be split evenly.
    """

    def __init__(self, channels: int, cells: Sequence[int], *, bias: bool = True) -> None:
        if not cells or channels % len(cells):
            raise ValueError(
                f"channels (={channels}) must be a multiple of the number of cells (={len(cells)})"
            )
        super().__init__()
        self.cells = tuple(cells)
        part = channels // len(cells)
        self.views = nn.ModuleList(
            nn.Conv2d(part, part, 3, padding=1, groups=part, bias=bias) for _ in cells
        )
        self.mix = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[-2], x.shape[-1])
        seen = []
        for part, conv, cell in zip(
            x.chunk(len(self.cells), dim=1), self.views, self.cells, strict=True
        ):
            if cell == 1:
                seen.append(conv(part))
            else:
                seen.append(spread_cells(conv(max_pool_to_cells(part, cell)), size, cell))
        return F.gelu(self.mix(torch.cat(seen, dim=1))) * x


class SimpleSAFM(nn.Module):
    """The single-view form of `SAFM` that SAFMN++ uses: some channels are gated, the others pass.

    A 3x3 mixes the channels; the first `gated` of them are multiplied by what a map of themselves,
    max-pooled to cells of 8 pixels and resized back, says; then GELU and a 1x1 on all. Source: the
    authors' entries to the NTIRE 2024 efficient SR (arXiv:2404.10343) and AIS 2024 real-time SR
    (arXiv:2404.16484) challenges.

    Shape: (N, channels, H, W) to the same; H, W >= `SimpleSAFM.CELL`.

    Args:
        channels: Width of the input and of the output.
        gated: How many of them are gated; a third in the one entry, half in the other.
    """

    CELL = 8  # pixels, along each axis

    def __init__(self, channels: int, gated: int) -> None:
        super().__init__()
        self.gated = gated
        self.expand = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.view = nn.Conv2d(gated, gated, 3, padding=1, groups=gated, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        features = self.expand(x)
        values, passing = features.tensor_split([self.gated], dim=1)
        cells = self.view(max_pool_to_cells(values, self.CELL))
        gate = resize_pooled(cells, (x.shape[-2], x.shape[-1]), window=self.CELL, stride=self.CELL)
        return self.project(F.gelu(torch.cat([passing, F.gelu(gate) * values], dim=1)))


def learned_factor(value: float = 1.0) -> nn.Parameter:
    """Return one learned number, for all values of a map to be multiplied by."""
    return nn.Parameter(torch.tensor([value]))
