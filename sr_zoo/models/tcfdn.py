"""TCFDN: a hybrid of transformer and CNN with multi-level feature distillation.

RFDN's block with its refining convolutions replaced by pairs of Swin layers, whose feed-forward
blocks are convolutional. Before each pair a 1x1 takes a part out of the chain; the parts are fused
and gated by enhanced spatial attention (ESA). The outputs of all blocks are fused before the
upsampler.

```mermaid
flowchart LR
  x([features]) --> s1["Swin pair"] --> s2["Swin pair"] --> s3["Swin pair"] --> last["3x3"]
  x & s1 & s2 --> part["each: 1x1"]
  part & last --> fuse["concatenate, 1x1"] --> esa["ESA"] --> add((+)) --> y([features])
  x --> add
```

Paper: Ren et al., Displays 2023; no public code. RGB in [0, 1], mean-shifted inside; mirrored to a
multiple of 8 inside.

This is the library's reading. Widths, depths and windows are choices, not the paper's; it claims no
published number.
"""

import torch
from torch import Tensor, nn

from sr_zoo.blocks import (
    ESA,
    CollectingChain,
    MeanShift,
    PixelShuffleUpsampler,
    SwinBlock,
    WindowAttention,
    channels_first,
    channels_last,
    crop,
    pad_to_minimum,
    pad_to_multiple,
    shift_mask,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

WINDOW = (8, 8)
SHIFT = (4, 4)
MULTIPLE = 8
MINIMUM = 16  # the smallest multiple of 8 that ESA can pool
EXPANSION = 2
NUM_REFINEMENTS = 3  # as in RFDN
ESA_REDUCTION = 4


class ConvolutionalFFN(nn.Module):
    """1x1, depthwise 3x3, GELU, 1x1 on a map (N, H, W, channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(self.body(channels_first(x)))


class SwinPair(nn.Module):
    """Attention in windows, then in shifted windows; (N, C, H, W) to the same."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.straight, self.shifted = (
            SwinBlock(
                channels,
                WindowAttention(channels, num_heads, window=WINDOW),
                ConvolutionalFFN(channels),
                window=WINDOW,
                shift=shift,
            )
            for shift in ((0, 0), SHIFT)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        last = channels_last(x)
        return channels_first(self.shifted(self.straight(last, mask), mask))


class TCFDB(nn.Module):
    """Swin pairs in a chain, before each of which a part leaves; fused, ESA, plus the input."""

    def __init__(self, channels: int, distilled: int, num_heads: int) -> None:
        super().__init__()
        steps = range(NUM_REFINEMENTS)
        self.distil = nn.ModuleList(nn.Conv2d(channels, distilled, 1) for _ in steps)
        self.refine = nn.ModuleList(SwinPair(channels, num_heads) for _ in steps)
        self.narrow = nn.Conv2d(channels, distilled, 3, padding=1)
        self.project = nn.Conv2d((NUM_REFINEMENTS + 1) * distilled, channels, 1)
        self.attention = ESA(channels, channels // ESA_REDUCTION, multiple=MULTIPLE)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        parts = []
        current = x
        for distil, refine in zip(self.distil, self.refine, strict=True):
            parts.append(distil(current))
            current = refine(current, mask)
        parts.append(self.narrow(current))
        return x + self.attention(self.project(torch.cat(parts, dim=1)))


class TCFDN(SRNetwork):
    """A chain of TCFDBs whose outputs are all fused; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        distilled: Width of each part that leaves a block's chain.
        num_blocks: TCFDBs.
        num_heads: Of all attention; divides `channels`.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 60,
        distilled: int = 30,
        num_blocks: int = 4,
        num_heads: int = 6,
    ) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = CollectingChain(
            *(TCFDB(channels, distilled, num_heads) for _ in range(num_blocks))
        )
        self.body_out = nn.Sequential(
            nn.Conv2d(num_blocks * channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = pad_to_minimum(pad_to_multiple(x, MULTIPLE), MINIMUM)
        shallow = self.head(self.mean_shift(x))
        mask = shift_mask(channels_last(shallow), WINDOW, SHIFT)
        out = self.upsampler(shallow + self.body_out(self.body(shallow, mask)))
        return crop(self.mean_shift.restore(out), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=TCFDN,
    variants={"tcfdn": Variant(halo=262)},
    paper=Paper(
        "A hybrid of transformer and CNN for efficient single image super-resolution via "
        "multi-level distillation",
        "Displays",
        2023,
    ),
    tags=("transformer", "attention", "distillation", "reading"),
    grid=24,  # windows of 8, ESA's stride of 6
)
