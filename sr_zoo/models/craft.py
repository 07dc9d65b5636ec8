"""CRAFT: cross-refinement adaptive feature modulation transformer.

Low frequencies go through attention in flat and in upright windows, half of the channels each; high
ones through a 3x3 convolution on one half and a max pool on the other. Attention among channels
then fuses them: the high frequencies ask, the low ones answer. A feed-forward block in which one
half gates the other ends each round.

```mermaid
flowchart LR
  x([features]) --> low["2 blocks: 4x16 and 16x4 window attention, MLP"] --> add((+))
  x --> high["3x3 on one half, max pool and 1x1 on the other, GELU, 1x1, add input"]
  low -- "key, value" --> cross["channel attention"]
  high -- query --> cross --> add --> ffn["norm, gated feed-forward"] --> a2((+)) --> y([features])
  add --> a2
```

Paper: Li et al., ICCV 2023, arXiv:2308.05022. RGB in [0, 1], mean-shifted inside; mirrored to a
multiple of 16 inside, as the authors' test code does.

Their position bias in windows is left out: it normalises a single number, so that each head has one
bias for all pairs of tokens, which softmax cancels.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    MLP,
    BSConv,
    GatedDepthwiseFFN,
    LayerNorm2d,
    MeanShift,
    PixelShuffleUpsampler,
    TransformerLayer,
    attend,
    attend_channels,
    channels_first,
    channels_last,
    check_halves,
    crop,
    join_heads,
    merge,
    pad_to_multiple,
    partition,
    separable_parts,
    split_heads,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-5
MULTIPLE = 16
WINDOWS = ((4, 16), (16, 4))  # one for each half of the channels
SHIFTS = ((2, 8), (8, 2))
NO_SHIFTS = ((0, 0), (0, 0))
MLP_EXPANSION = 2
FFN_EXPANSION = 2.66


class StripWindowBlock(nn.Module):
    """Attention in flat and in upright windows, half the channels each (SRWAB, section 3.2).

    Shifted windows wrap around the image without a mask. Channels-last.
    """

    def __init__(
        self, channels: int, num_heads: int, shifts: tuple[tuple[int, int], tuple[int, int]]
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.shifts = shifts
        self.norm_attention = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.project = nn.Linear(channels, channels)
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = MLP(channels, MLP_EXPANSION * channels)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[1], x.shape[2])
        qkv = self.qkv(self.norm_attention(x)).chunk(3, dim=-1)
        halves = zip(*(part.chunk(2, dim=-1) for part in qkv), strict=True)
        outputs = []
        for half, window, shift in zip(halves, WINDOWS, self.shifts, strict=True):
            query, key, value = (
                split_heads(partition(part, window, shift), self.num_heads // 2) for part in half
            )
            outputs.append(merge(join_heads(attend(query, key, value)), window, size, shift))
        local = channels_last(self.local(channels_first(qkv[2])))
        x = x + self.project(torch.cat(outputs, dim=-1) + local)
        return x + self.mlp(self.norm_mlp(x))


class HighFrequencyBlock(nn.Module):
    """A 3x3 convolution on half of the channels, a max pool and 1x1 on the others (HFERB)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv = nn.Conv2d(half, half, 3, padding=1)
        self.sharpen = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(half, half, 1))
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        convolved, sharpened = x.chunk(2, dim=1)
        both = torch.cat([self.conv(convolved), self.sharpen(sharpened)], dim=1)
        return x + self.project(F.gelu(both))


class CrossChannelAttention(nn.Module):
    """Cosine attention among channels: high frequencies ask, low ones answer."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.query = BSConv(channels, channels, 3, padding=1, bias=False)
        self.key_value = BSConv(channels, 2 * channels, 3, padding=1, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        heads = self.temperature.shape[0]
        key, value = separable_parts(low, self.key_value, 2)
        query, key, value = (
            torch.unflatten(part, 1, (heads, -1)) for part in (self.query(high), key, value)
        )
        attended = attend_channels(query, key, value, self.temperature)
        return self.project(attended.flatten(1, 2))


class FusionBlock(TransformerLayer):
    """Refines low frequencies by high ones, then a feed-forward block (HFB, section 3.3)."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__(
            CrossChannelAttention(channels, num_heads),
            GatedDepthwiseFFN(channels, int(FFN_EXPANSION * channels)),
            norm=partial(LayerNorm2d, channels, NORM_EPS),
        )


class CrossRefinementGroup(nn.Module):
    """Low frequencies by attention, high ones by convolution, fused; `depth` times (RCRFG)."""

    def __init__(self, channels: int, depth: int, num_heads: int) -> None:
        super().__init__()
        self.low = nn.ModuleList(
            StripWindowBlock(channels, num_heads, SHIFTS if i % 2 else NO_SHIFTS)
            for i in range(2 * depth)
        )
        self.high = nn.ModuleList(HighFrequencyBlock(channels) for _ in range(depth))
        self.fusion = nn.ModuleList(FusionBlock(channels, num_heads) for _ in range(depth))
        self.project = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        current = x
        pairs = list(pairwise(self.low))[::2]
        for (straight, shifted), high, fusion in zip(pairs, self.high, self.fusion, strict=True):
            low = channels_first(shifted(straight(channels_last(current))))
            current = fusion(low, high(current))
        return x + self.project(current)


class CRAFT(SRNetwork):
    """Cross-refinement groups under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    The windows wrap around the image's borders: a pixel there sees the opposite border.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        depths: Per group, how often frequencies are split and fused.
        num_heads: Of all attention; even.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 48,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        num_heads: int = 6,
    ) -> None:
        super().__init__(scale)
        check_halves(num_heads)
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(CrossRefinementGroup(channels, depth, num_heads) for depth in depths)
        )
        self.norm = LayerNorm2d(channels, NORM_EPS)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(self.mean_shift(pad_to_multiple(x, MULTIPLE)))
        deep = self.body_out(self.norm(self.body(shallow)))
        out = self.mean_shift.restore(self.upsampler(shallow + deep))
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=CRAFT,
    variants={"craft": Variant(halo=141)},
    paper=Paper(
        "Feature Modulation Transformer: Cross-Refinement of Global Representation via "
        "High-Frequency Prior for Image Super-Resolution",
        "ICCV",
        2023,
        "2308.05022",
    ),
    tags=("transformer", "attention"),
    reference="AVC2-UESTC/CRAFT-SR",
    reference_license="Apache-2.0",
    grid=MULTIPLE,
    global_statistics=True,
    wraps=True,
)
