"""SRFormer: permuted self-attention for single image super-resolution, classical and lightweight.

Every pixel gives a quarter of a key and of a value, and a 2x2 square of pixels joins its quarters
into one of each: windows of 16x16 pixels then cost what windows of 8x8 do. A depthwise 5x5 inside
the feed-forward block brings back local detail. The rest is SwinIR's trunk. The classical form is
three times as wide, has windows of 22x22 pixels, and enlarges in stages.

```mermaid
flowchart LR
  x([features]) --> n1["norm, windows"] --> q["queries: one per pixel"] --> att["attention"]
  n1 --> kv["keys, values: one per 2x2 pixels"] --> att --> a1((+))
  x --> a1 --> expand["norm, linear, GELU"] --> dw["depthwise 5x5, GELU"] --> s((+))
  expand --> s --> linear["linear"] --> a2((+)) --> y([features])
  a1 --> a2
```

Paper: Zhou et al., ICCV 2023, arXiv:2303.09735. RGB in [0, 1], mean-shifted inside.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from sr_zoo.blocks import (
    NarrowingUpsampler,
    PixelShuffleUpsampler,
    RelativePositionBias,
    ResidualDepthwiseFFN,
    ResidualSwinGroup,
    SwinBlock,
    attend,
    conv3x3,
    join_heads,
    shift_mask,
    split_heads,
)
from sr_zoo.spec import ArchSpec, Paper, Variant
from sr_zoo.swin_network import SwinNetwork

WINDOW_LIGHT = 16
WINDOW = 22  # that of the released weights; the paper has 24
STRIDE = 2  # pixels per side that share one key and one value


class PermutedAttention(nn.Module):
    """Permuted self-attention (PSA): large windows at the price of small ones (section 3.2).

    Each pixel gives a quarter of a key and of a value; a 2x2 square of pixels joins its quarters
    into one of each. All pixels of a square have the same relative position to a key.
    """

    def __init__(self, channels: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.side = window_size // STRIDE
        self.num_heads = num_heads
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels // STRIDE**2)
        self.bias = RelativePositionBias((self.side, self.side), num_heads)
        self.project = nn.Linear(channels, channels)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        side = self.side
        parts = torch.unflatten(self.key_value(windows), 3, (2, -1))
        squares = torch.unflatten(parts, 2, (side, STRIDE, side, STRIDE))
        # (N, windows, 2, square's row, column, row inside, column inside, channels)
        squares = squares.permute(0, 1, 6, 2, 4, 3, 5, 7)
        key, value = squares.flatten(5, 7).flatten(3, 4).unbind(2)
        bias = torch.unflatten(self.bias(), 1, (side, side))
        bias = bias.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2).flatten(1, 2)
        attended = attend(
            split_heads(self.query(windows), self.num_heads),
            split_heads(key, self.num_heads),
            split_heads(value, self.num_heads),
            bias=bias,
            mask=mask,
        )
        return self.project(join_heads(attended))


class PermutedNetwork(SwinNetwork):
    """SwinIR's trunk with permuted attention, without what makes pixels of features.

    Args:
        scale: Upscaling factor.
        channels: Feature width; a multiple of 4.
        depths: Transformer blocks in each group; every second one shifts its windows by half.
        num_heads: In each block.
        expansion: Of the feed-forward blocks.
        window_size: Side of the windows; even.
    """

    def __init__(
        self,
        scale: int,
        channels: int,
        depths: Sequence[int],
        num_heads: int,
        expansion: int,
        window_size: int,
    ) -> None:
        window, shift = (window_size, window_size), (window_size // 2, window_size // 2)

        def block(index: int) -> SwinBlock:
            attention = PermutedAttention(channels, num_heads, window_size)
            ffn = ResidualDepthwiseFFN(channels, expansion * channels, kernel_size=5)
            return SwinBlock(
                channels, attention, ffn, window=window, shift=shift if index % 2 else (0, 0)
            )

        groups = (
            ResidualSwinGroup(map(block, range(depth)), conv3x3(channels, channels))
            for depth in depths
        )
        super().__init__(scale, channels, groups, conv3x3, multiple=window_size)
        self.window, self.shift = window, shift

    def masks(self, x: Tensor) -> list[Tensor]:
        return [shift_mask(x, self.window, self.shift, key_stride=STRIDE)]


class SRFormerLight(PermutedNetwork):
    """The lightweight form; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 60,
        depths: Sequence[int] = (6, 6, 6, 6),
        num_heads: int = 6,
        expansion: int = 2,
    ) -> None:
        super().__init__(scale, channels, depths, num_heads, expansion, WINDOW_LIGHT)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)


class SRFormer(PermutedNetwork):
    """The classical form; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 180,
        depths: Sequence[int] = (6,) * 6,
        num_heads: int = 6,
        expansion: int = 2,
        upsampler_channels: int = 64,
    ) -> None:
        super().__init__(scale, channels, depths, num_heads, expansion, WINDOW)
        self.upsampler = NarrowingUpsampler(channels, upsampler_channels, scale)


SPEC = ArchSpec(
    network=SRFormerLight,
    variants={"srformer_light": Variant(halo=205)},
    paper=Paper(
        "SRFormer: Permuted Self-Attention for Single Image Super-Resolution",
        "ICCV",
        2023,
        "2303.09735",
    ),
    tags=("transformer",),
    reference="HVision-NKU/SRFormer",
    reference_license="CC-BY-NC-4.0",
    grid=WINDOW_LIGHT,
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=SRFormer,
        variants={"srformer": Variant(halo=414)},
        grid=WINDOW,
        mixes_borders=True,  # WINDOW // 2 is odd, a key two pixels wide
    ),
)
