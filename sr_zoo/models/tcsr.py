"""TCSR: convolutions with the designs of transformers.

Every block lets each pixel attend to its 7x7 neighbourhood, a sliding window in place of a large
kernel. A feed-forward block follows in which groups of channels are shifted by a pixel in eight
directions, so that it sees its neighbours without a parameter. A long skip around all blocks and
one pixel shuffle finish the picture.

```mermaid
flowchart LR
    x[image] --> h[3x3] --> b[blocks] --> o[3x3] --> s((sum))
    h --> s --> u[pixel shuffle] --> y[output]
    subgraph block
        f[features] --> n1[norm] --> na[neighbourhood attention] --> a((sum))
        f --> a --> n2[norm] --> e["1x1, shift, GELU, 1x1"] --> r((sum))
        a --> r
    end
```

Paper: Wu et al., 2023, arXiv:2303.14324; no public code. RGB in [0, 1], mean-shifted inside.

This is the library's reading of the abstract: widths, depths, heads, the size of the neighbourhood,
its bias and border, the shift and the upsampler are choices, made so that the sizes come within 2 %
of the published ones; it claims no published score. At the border of the image a neighbourhood
takes the nearest pixel inside.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    LayerNorm2d,
    MeanShift,
    PixelShuffleUpsampler,
    ShiftConv,
    TransformerLayer,
    attend,
    channels_first,
    channels_last,
    crop,
    join_heads,
    merge,
    next_multiple,
    partition,
    shift_channels,
    split_heads,
)
from sr_zoo.blocks.constants import Constants
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NEIGHBOURHOOD = 7
SQUARE = 8
EXPANSION = 2
NORM_EPS = 1e-6


class NeighbourhoodAttention(Constants):
    """Each pixel attends to the pixels around it, with a bias learned per offset and head.

    Squares of pixels are computed together: each attends to all that lies in a neighbourhood of one
    of its pixels, and a pixel gives no weight to what lies outside its own. Memory grows with the
    pixels, times a few. Source: Hassani et al., Neighborhood Attention Transformer, CVPR 2023; here
    neighbours outside the image are the nearest ones inside.

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        num_heads: Divides `channels`.
        size: Side of the neighbourhood in pixels; odd.
        square: Side of the squares in pixels; cost depends on it, and rounding.
    """

    index: Tensor

    def __init__(self, channels: int, num_heads: int, size: int, *, square: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.size = size
        self.square = square
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.bias = nn.Parameter(torch.empty(num_heads, size**2))
        nn.init.trunc_normal_(self.bias, std=0.02)
        self.project = nn.Conv2d(channels, channels, 1)
        self.register_constant("index", neighbour_index, square, size)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        query, context = self.qkv(x).split((x.shape[1], 2 * x.shape[1]), dim=1)
        query, (key, value) = self._cut(query, 0), self._cut(context, self.size // 2).chunk(2, -1)
        query, key, value = (split_heads(part, self.num_heads) for part in (query, key, value))
        outside = self.bias.new_full((self.num_heads, 1), -torch.inf)
        bias = torch.cat([self.bias, outside], dim=1)[:, self.index]
        squares = join_heads(attend(query, key, value, bias=bias))
        padded = (next_multiple(height, self.square), next_multiple(width, self.square))
        out = channels_first(merge(squares, (self.square, self.square), padded))
        return self.project(crop(out, height, width))

    def _cut(self, x: Tensor, border: int) -> Tensor:
        """Cut a map into its squares, a border around each: (N, squares, pixels, C)."""
        side = self.square + 2 * border
        for dim in (-2, -1):
            length = x.shape[dim]
            start = torch.arange(0, length, self.square, device=x.device)[:, None]
            pixels = start + torch.arange(-border, self.square + border, device=x.device)
            x = x.index_select(dim, pixels.clamp(0, length - 1).flatten())
        return partition(channels_last(x), (side, side))


def neighbour_index(square: int, size: int) -> Tensor:
    """Number what each pixel of a square sees of the square and its border, row by row.

    Returns:
        (square**2, (square + size - 1)**2), int64: size**2 for what lies outside the pixel's own
        neighbourhood.
    """
    offset = torch.arange(square + size - 1) - torch.arange(square)[:, None]
    rows = offset[:, None, :, None].expand(-1, square, -1, square + size - 1)
    columns = rows.permute(1, 0, 3, 2)
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    number = torch.where(inside, rows * size + columns, size**2)
    return number.flatten(2).flatten(0, 1)


class ShiftedFFN(nn.Module):
    """Feed-forward block with a spatial shift before its activation (EFFN)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.project = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        shifted = shift_channels(self.expand(x), ShiftConv.OFFSETS)
        return self.project(F.gelu(shifted))


class TCSRBlock(TransformerLayer):
    """Neighbourhood attention and a shifted feed-forward block, each after a norm, each skipped."""

    def __init__(self, channels: int, num_heads: int, square: int) -> None:
        super().__init__(
            NeighbourhoodAttention(channels, num_heads, NEIGHBOURHOOD, square=square),
            ShiftedFFN(channels, EXPANSION * channels),
            norm=partial(LayerNorm2d, channels, NORM_EPS),
        )


class TCSR(SRNetwork):
    """A chain of blocks under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width; a multiple of 4.
        num_blocks: How many.
        num_heads: Of all attention; divides `channels`.
        square: Side in pixels of the squares that attention is computed in. Costs depend on it, not
            the output, but for its rounding.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        num_blocks: int = 18,
        num_heads: int = 4,
        square: int = SQUARE,
    ) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(TCSRBlock(channels, num_heads, square) for _ in range(num_blocks))
        )
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x))
        out = self.upsampler(shallow + self.body_out(self.body(shallow)))
        return self.mean_shift.restore(out)


SPEC = ArchSpec(
    network=TCSR,
    variants={
        "tcsr_b": Variant(halo=75),
        "tcsr_l": Variant(halo=119, arguments={"num_blocks": 29}),
    },
    paper=Paper(
        "Incorporating Transformer Designs into Convolutions for Lightweight Image "
        "Super-Resolution",
        "-",
        2023,
        "2303.14324",
    ),
    tags=("transformer", "reading"),
    grid=SQUARE,  # tiles round as the whole image does
)
