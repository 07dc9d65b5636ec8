"""DAT: dual aggregation transformer, in two sizes and light.

Blocks that attend between the pixels of wide and tall windows alternate with blocks that attend
between channels over the whole picture. Inside each, a depthwise convolution runs beside the
attention, and the two gate each other: one by channel, the other by pixel. Half of the hidden
features of the feed-forward block gates the other half by its neighbours. DAT-2 is DAT with half of
those; the light form is a third as wide and goes from features to pixels in one step.

```mermaid
flowchart LR
  x([features]) --> n1["norm, queries, keys, values"] --> att["attention of pixels or channels"]
  n1 -- values --> local["depthwise 3x3, norm, GELU"]
  att & local --> gates["each gates the other, sum, linear"] --> a1((+))
  x --> a1 --> ffn["norm, spatially gated feed-forward"] --> a2((+)) --> y([features])
  a1 --> a2
```

Paper: Chen et al., ICCV 2023, arXiv:2308.03364. RGB in [0, 1], mean-shifted inside.

In DAT-light the authors' dynamic position bias is left out. Where half of the features is narrower
than 32 channels, its layer norms see a single value, so that it is the same number for all pairs of
tokens, which softmax takes out again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    DynamicPositionBias,
    NarrowingUpsampler,
    PixelShuffleUpsampler,
    ResidualSwinGroup,
    TransformerLayer,
    attend_channels,
    attend_heads,
    bottleneck_conv,
    channels_first,
    channels_last,
    check_halves,
    conv3x3,
    crop,
    global_mean,
    merge,
    next_multiple,
    partition,
    shift_mask,
)
from sr_zoo.spec import ArchSpec, Paper, Variant
from sr_zoo.swin_network import SwinNetwork

# half of the features is seen through wide windows, the other half through tall ones
WINDOWS = ((8, 32), (32, 8))
SHIFTS = ((4, 16), (16, 4))
MULTIPLE = 32
CHANNEL_REDUCTION = 8
SPATIAL_REDUCTION = 16


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


class NoBias(nn.Module):
    """Stands where a position bias would be, and gives none."""

    def forward(self) -> None:
        return None


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

    Args:
        channels: Width of the input and of the output.
        num_heads: Half of them for each shape of windows.
        shifted: Whether the windows are shifted by half.
        biases: What gives the logits that each shape of windows adds.
    """

    def __init__(
        self, channels: int, num_heads: int, *, shifted: bool, biases: Sequence[nn.Module]
    ) -> None:
        super().__init__(channels, num_heads)
        self.shifts = SHIFTS if shifted else ((0, 0), (0, 0))
        self.biases = nn.ModuleList(biases)

    def forward(self, x: Tensor, *masks: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        qkv = self.qkv(x)
        local = self.local(channels_first(qkv.chunk(3, dim=-1)[2]))
        below, right = (next_multiple(side, MULTIPLE) - side for side in (height, width))
        halves = torch.unflatten(F.pad(qkv, (0, 0, 0, right, 0, below)), -1, (3, 2, -1)).unbind(-2)
        attended = torch.cat(
            [self._attend(half.flatten(-2), i, masks[i]) for i, half in enumerate(halves)], dim=-1
        )
        attended = crop(channels_first(attended), height, width)
        return self.project(channels_last(self.interaction(attended, local)))

    def _attend(self, qkv: Tensor, index: int, mask: Tensor) -> Tensor:
        """Attend in windows of one shape: (N, H, W, 3 * C / 2) to (N, H, W, C / 2)."""
        window, shift, bias = WINDOWS[index], self.shifts[index], self.biases[index]
        attended = attend_heads(
            partition(qkv, window, shift),
            self.num_heads // 2,
            bias=bias(),
            mask=mask if any(shift) else None,
        )
        return merge(attended, window, (qkv.shape[1], qkv.shape[2]), shift)


class AdaptiveChannelAttention(AggregatingAttention):
    """Self-attention between the channels of a head over the whole picture (AC-SA, section 3.3)."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__(channels, num_heads)
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))

    def forward(self, x: Tensor, *masks: Tensor) -> Tensor:
        del masks  # only windows have any
        query, key, value = channels_first(self.qkv(x)).chunk(3, dim=1)
        local = self.local(value)
        query, key, value = (
            torch.unflatten(part, 1, (self.num_heads, -1)) for part in (query, key, value)
        )
        attended = attend_channels(query, key, value, self.temperature).flatten(1, 2)
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


def dual_block(channels: int, hidden: int, attention: AggregatingAttention) -> TransformerLayer:
    """Return attention and a feed-forward block, both normalised."""
    return TransformerLayer(
        attention, SpatialGateFFN(channels, hidden), norm=partial(nn.LayerNorm, channels)
    )


class DualNetwork(SwinNetwork):
    """Groups of dual aggregation, without what makes pixels of features.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        depths: Blocks in each group.
        num_heads: In each block; even.
        expansion: Of the feed-forward blocks.
        conv: Builds what ends each group, and all of them, from input and output width.
        bias: Builds what gives the position bias of windows of one shape.
    """

    least_batch = 2  # one number per image and channel is normalised over the batch

    def __init__(
        self,
        scale: int,
        channels: int,
        depths: Sequence[int],
        num_heads: int,
        expansion: int,
        conv: Callable[[int, int], nn.Module],
        bias: Callable[[tuple[int, int]], nn.Module],
    ) -> None:
        check_halves(num_heads)

        def block(group: int, index: int) -> TransformerLayer:
            if index % 2:
                return dual_block(
                    channels, expansion * channels, AdaptiveChannelAttention(channels, num_heads)
                )
            # every second spatial block is shifted, the first of the network is not
            shifted = index % 4 == (0 if group % 2 else 2)
            attention = AdaptiveSpatialAttention(
                channels, num_heads, shifted=shifted, biases=[bias(window) for window in WINDOWS]
            )
            return dual_block(channels, expansion * channels, attention)

        groups = (
            ResidualSwinGroup(
                [block(group, index) for index in range(depth)], conv(channels, channels)
            )
            for group, depth in enumerate(depths)
        )
        super().__init__(scale, channels, groups, conv)

    def masks(self, x: Tensor) -> list[Tensor]:
        # windows are padded where they are cut
        size = [next_multiple(side, MULTIPLE) for side in x.shape[1:3]]
        return [
            shift_mask(x.new_empty(1, *size, 1), window, shift)
            for window, shift in zip(WINDOWS, SHIFTS, strict=True)
        ]


class DATLight(DualNetwork):
    """The light form; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    `channels` must be less than 64, since wider networks need the position bias.
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
        if channels >= 64:
            raise ValueError(
                "channels must be less than 64, since wider networks need the position bias; "
                f"got {channels}"
            )
        super().__init__(
            scale, channels, depths, num_heads, expansion, bottleneck_conv, lambda _: NoBias()
        )
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)


class DAT(DualNetwork):
    """The full form; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 180,
        depths: Sequence[int] = (6,) * 6,
        num_heads: int = 6,
        expansion: int = 4,
        upsampler_channels: int = 64,
    ) -> None:
        def bias(window: tuple[int, int]) -> nn.Module:
            return DynamicPositionBias(channels // 2, num_heads // 2, window)

        super().__init__(scale, channels, depths, num_heads, expansion, conv3x3, bias)
        self.upsampler = NarrowingUpsampler(channels, upsampler_channels, scale)


SPEC = ArchSpec(
    network=DATLight,
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
OTHER_FORMS = (
    replace(
        SPEC,
        network=DAT,
        variants={
            "dat": Variant(halo=312),
            "dat_2": Variant(halo=312, arguments={"expansion": 2}),
        },
    ),
)
