"""DAT: dual aggregation transformer, light.

Blocks that attend between the pixels of wide and tall windows alternate with blocks that attend
between channels over the whole picture. Inside each, a depthwise convolution runs beside the
attention, and the two gate each other: one by channel, the other by pixel. Half of the hidden
features of the feed-forward block gates the other half by its neighbours.

```mermaid
flowchart LR
  x([features]) --> n1["norm, queries, keys, values"] --> att["attention of pixels or channels"]
  n1 -- values --> local["depthwise 3x3, norm, GELU"]
  att & local --> gates["each gates the other, sum, linear"] --> a1((+))
  x --> a1 --> ffn["norm, spatially gated feed-forward"] --> a2((+)) --> y([features])
  a1 --> a2
```

Paper: Chen et al., ICCV 2023, arXiv:2308.03364. RGB in [0, 1], mean-shifted inside.

The authors' dynamic position bias is left out. Where a half of the features is narrower than 32
channels, as in DAT-light, its layer norms see a single value, so that it is the same number for all
pairs of tokens, which softmax takes out again.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    MeanShift,
    PixelShuffleUpsampler,
    attend,
    attend_channels,
    channels_first,
    channels_last,
    crop,
    global_mean,
    init_linear,
    join_heads,
    merge,
    next_multiple,
    partition,
    shift_mask,
    split_heads,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

# half of the features is seen through wide windows, the other half through tall ones
WINDOWS = ((8, 32), (32, 8))
SHIFTS = ((4, 16), (16, 4))
MULTIPLE = 32
CHANNEL_REDUCTION = 8
SPATIAL_REDUCTION = 16
CONV_REDUCTION = 4
LEAKY_SLOPE = 0.2


class AdaptiveInteraction(nn.Module):
    """Adds two maps, each gated by the other (AIM, section 3.3).

    The averages of `by_pixel` gate the channels of `by_channel`, which gates the pixels of
    `by_pixel`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()

        def gate(hidden: int, out_channels: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, hidden, 1),
                nn.BatchNorm2d(hidden),
                nn.GELU(),
                nn.Conv2d(hidden, out_channels, 1),
            )

        self.channels = gate(channels // CHANNEL_REDUCTION, channels)
        self.pixels = gate(channels // SPATIAL_REDUCTION, 1)

    def forward(self, by_channel: Tensor, by_pixel: Tensor) -> Tensor:
        channels = torch.sigmoid(self.channels(global_mean(by_pixel)))
        return by_channel * channels + by_pixel * torch.sigmoid(self.pixels(by_channel))


class AggregatingAttention(nn.Module):
    """What attention between pixels and between channels have in common: all but the attention."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.local = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.BatchNorm2d(channels),
            nn.GELU(),
        )
        self.interaction = AdaptiveInteraction(channels)
        self.project = nn.Linear(channels, channels)


class AdaptiveSpatialAttention(AggregatingAttention):
    """Self-attention between the pixels of wide and of tall windows (AS-SA, section 3.3).

    Queries, keys and values are filled up with zeros to whole windows; those take part.
    """

    def __init__(self, channels: int, num_heads: int, *, shifted: bool) -> None:
        super().__init__(channels, num_heads)
        self.shifts = SHIFTS if shifted else ((0, 0), (0, 0))

    def forward(self, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        height, width = x.shape[1:3]
        qkv = self.qkv(x)
        local = self.local(channels_first(qkv.chunk(3, dim=-1)[2]))
        below, right = (next_multiple(side, MULTIPLE) - side for side in (height, width))
        halves = torch.unflatten(F.pad(qkv, (0, 0, 0, right, 0, below)), -1, (3, 2, -1)).unbind(-2)
        attended = torch.cat(
            [
                self._attend(half.flatten(-2), WINDOWS[index], self.shifts[index], masks[index])
                for index, half in enumerate(halves)
            ],
            dim=-1,
        )
        attended = crop(channels_first(attended), height, width)
        return self.project(channels_last(self.interaction(attended, local)))

    def _attend(
        self, qkv: Tensor, window: tuple[int, int], shift: tuple[int, int], mask: Tensor
    ) -> Tensor:
        """Attend in windows of one shape: (N, H, W, 3 * C / 2) to (N, H, W, C / 2)."""
        query, key, value = (
            split_heads(part, self.num_heads // 2)
            for part in partition(qkv, window, shift).chunk(3, dim=-1)
        )
        attended = attend(query, key, value, mask=mask if any(shift) else None)
        return merge(join_heads(attended), window, (qkv.shape[1], qkv.shape[2]), shift)


class AdaptiveChannelAttention(AggregatingAttention):
    """Self-attention between the channels of a head over the whole picture (AC-SA, section 3.3)."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__(channels, num_heads)
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))

    def forward(self, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        del masks  # only windows have any
        query, key, value = channels_first(self.qkv(x)).chunk(3, dim=1)
        local = self.local(value)
        query, key, value = (
            torch.unflatten(part, 1, (self.num_heads, -1)) for part in (query, key, value)
        )
        attended = attend_channels(query, key, value, self.temperature)
        return self.project(channels_last(self.interaction(local, attended)))


class SpatialGateFFN(nn.Module):
    """An MLP, half of whose hidden features gates the other half by its neighbours (SGFN)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        half = hidden // 2
        self.expand = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(half)
        self.gate = nn.Conv2d(half, half, 3, padding=1, groups=half)
        self.project = nn.Linear(half, channels)

    def forward(self, x: Tensor) -> Tensor:
        values, gates = F.gelu(self.expand(x)).chunk(2, dim=-1)
        gates = channels_last(self.gate(channels_first(self.norm(gates))))
        return self.project(values * gates)


class DualBlock(nn.Module):
    """Attention and a feed-forward block, each normalised before and skipped around."""

    def __init__(self, channels: int, hidden: int, attention: AggregatingAttention) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(channels)
        self.attention = attention
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = SpatialGateFFN(channels, hidden)

    def forward(self, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        x = x + self.attention(self.norm_attention(x), masks)
        return x + self.ffn(self.norm_ffn(x))


def bottleneck(channels: int) -> nn.Sequential:
    """Build the three convolutions that end a group, narrow inside."""
    hidden = channels // CONV_REDUCTION
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(hidden, hidden, 1),
        nn.LeakyReLU(LEAKY_SLOPE),
        nn.Conv2d(hidden, channels, 3, padding=1),
    )


class DualGroup(nn.Module):
    """Blocks of spatial and channel attention in turn, then convolutions, under one skip."""

    def __init__(self, blocks: Sequence[DualBlock], channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.conv = bottleneck(channels)

    def forward(self, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        deep = x
        for block in self.blocks:
            deep = block(deep, masks)
        return x + channels_last(self.conv(channels_first(deep)))


class DAT(SRNetwork):
    """Groups of dual aggregation under one skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width; less than 64, since wider networks need the position bias.
        depths: Blocks in each group.
        num_heads: In each block; even.
        expansion: Of the feed-forward blocks.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 60,
        depths: Sequence[int] = (18,),
        num_heads: int = 6,
        expansion: int = 2,
    ) -> None:
        super().__init__(scale)

        def block(group: int, index: int) -> DualBlock:
            if index % 2:
                return DualBlock(
                    channels, expansion * channels, AdaptiveChannelAttention(channels, num_heads)
                )
            # every second spatial block is shifted, the first of the network is not
            shifted = index % 4 == (0 if group % 2 else 2)
            attention = AdaptiveSpatialAttention(channels, num_heads, shifted=shifted)
            return DualBlock(channels, expansion * channels, attention)

        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.norm_in = nn.LayerNorm(channels)
        self.body = nn.ModuleList(
            DualGroup([block(group, index) for index in range(depth)], channels)
            for group, depth in enumerate(depths)
        )
        self.norm_out = nn.LayerNorm(channels)
        self.body_out = bottleneck(channels)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)
        self.apply(init_linear)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x))
        deep = self.norm_in(channels_last(shallow))
        size = [next_multiple(side, MULTIPLE) for side in deep.shape[1:3]]
        masks = [
            shift_mask(deep.new_empty(1, *size, 1), window, shift)
            for window, shift in zip(WINDOWS, SHIFTS, strict=True)
        ]
        for group in self.body:
            deep = group(deep, masks)
        deep = shallow + self.body_out(channels_first(self.norm_out(deep)))
        return self.mean_shift.restore(self.upsampler(deep))


SPEC = ArchSpec(
    network=DAT,
    variants={"dat_light": Variant(halo=168)},
    paper=Paper(
        "Dual Aggregation Transformer for Image Super-Resolution", "ICCV", 2023, "2308.03364"
    ),
    tags=("transformer", "attention"),
    reference="zhengchen1999/DAT",
    reference_license="Apache-2.0",
    grid=MULTIPLE,
    global_statistics=True,
)
