"""RAMiT: reciprocal attention mixing transformer.

Some heads attend between pixels in windows, the others between channels over the whole image, side
by side; the values of each kind are multiplied by what the other said in the block before. Three
stages run at falling sizes, the features of all of them are fused at full size, and a fourth stage
follows. A mix of all stages' attention gates its output.

```mermaid
flowchart LR
  x([features]) --> qkv["1x1: queries, keys, values"]
  qkv --> spatial["pixels in 8x8 windows"] & channel["channels over the image"]
  h1([helper by channel]) -- times values --> spatial
  h2([helper by pixel]) -- times values --> channel
  spatial & channel --> mix["concatenate, mix, norm"] --> a1((+)) --> ffn["MLP, norm"] --> a2((+))
  x --> a1 --> a2 --> y([features])
```

Paper: Choi et al., CVPRW 2024, arXiv:2305.11474. RGB in [0, 1], normalised by mean and deviation
inside; mirrored to a multiple of 32 inside, the last row and column repeated, as the authors' test
code does.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    MLP,
    LayerNorm2d,
    PixelShuffleUpsampler,
    RelativePositionBias,
    attend_by_cosine,
    attend_channels,
    channels_first,
    channels_last,
    conv1x1,
    cosine_scale,
    crop,
    join_heads,
    merge,
    pad_to_multiple,
    partition,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-5
LEAKY_SLOPE = 0.01
WINDOW = (8, 8)
SHIFT = (4, 4)
STAGE_STRIDES = (1, 2, 4, 1)  # LR pixels per cell, stage by stage
MULTIPLE = WINDOW[0] * max(STAGE_STRIDES)
MEAN = (0.4485, 0.4375, 0.4045)
DEVIATION = {  # of the training set's LR images, as the authors measured it
    2: (0.2397, 0.2290, 0.2389),
    3: (0.2373, 0.2265, 0.2367),
    4: (0.2352, 0.2244, 0.2349),
}


class PlainMixer(nn.Module):
    """A depthwise 3x3 and a 1x1, both activated, with a skip inside and, if it fits, around it."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)
        self.residual = in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out = activate(self.pointwise(activate(self.depthwise(x)) + x))
        return out + x if self.residual else out


class ExpandingMixer(nn.Module):
    """The same on more channels, which a grouped 1x1 makes first; nothing after the last 1x1.

    The width is rounded up to the next multiple of `groups` above, never staying where it is.
    """

    def __init__(
        self, in_channels: int, out_channels: int, expansion: float = 1.2, groups: int = 4
    ) -> None:
        super().__init__()
        hidden = (int(in_channels * expansion) // groups + 1) * groups
        self.expand = nn.Conv2d(in_channels, hidden, 1, groups=groups)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.pointwise = nn.Conv2d(hidden, out_channels, 1)
        self.residual = in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        hidden = activate(self.expand(x))
        out = self.pointwise(activate(self.depthwise(hidden) + hidden))
        return out + x if self.residual else out


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU."""
    return F.leaky_relu(x, LEAKY_SLOPE)


class SpatialAttention(nn.Module):
    """Cosine attention in windows, shifted around the image's borders without a mask."""

    def __init__(self, num_heads: int, head_width: int, shift: tuple[int, int]) -> None:
        super().__init__()
        width = num_heads * head_width
        self.num_heads = num_heads
        self.shift = shift
        self.logit_scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10.0)))
        self.bias = RelativePositionBias(WINDOW, num_heads)
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, qkv: Tensor, helper: Tensor | None) -> Tensor:
        """Map queries, keys and values, and what the values are multiplied by, to features.

        Shape: (N, heads, 3, d, H, W) and (N, 1, d, H, W) to (N, heads * d, H, W).
        """
        size = (qkv.shape[-2], qkv.shape[-1])
        windows = torch.unflatten(self._windows(qkv.flatten(1, 3)), -1, qkv.shape[1:4])  # one copy
        query, key, value = windows.transpose(2, 3).unbind(-2)
        if helper is not None:
            value = value * self._windows(helper[:, 0])[:, :, None]
        scale = cosine_scale(self.logit_scale)
        out = attend_by_cosine(query, key, value, scale, bias=self.bias())
        out = merge(join_heads(out), WINDOW, size, self.shift)
        return self.project(channels_first(out))

    def _windows(self, x: Tensor) -> Tensor:
        return partition(channels_last(x), WINDOW, self.shift)


class ChannelAttention(nn.Module):
    """Cosine attention among the channels of each head, over the whole image."""

    def __init__(self, num_heads: int, head_width: int, stride: int) -> None:
        super().__init__()
        width = num_heads * head_width
        self.stride = stride
        self.logit_scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10.0)))
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Map queries, keys and values (N, heads, d, H, W) to (N, heads * d, H, W)."""
        scale = cosine_scale(self.logit_scale)
        attended = attend_channels(query, key, value, scale, stride=self.stride)
        # as the other heads' features lie, so that joining them transposes neither
        features = channels_last(attended.flatten(1, 2)).contiguous()
        return self.project(channels_first(features))


class MixingBlock(nn.Module):
    """Spatial and channel attention side by side, mixed, then a feed-forward block (D-RAMiT).

    Each kind of attention multiplies its values by what the other one said in the block before.
    """

    def __init__(
        self,
        channels: int,
        num_heads: tuple[int, int],
        mixer: Callable[[int, int], nn.Module],
        shift: tuple[int, int],
        stride: int,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        head_width = channels // sum(num_heads)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.spatial = SpatialAttention(num_heads[0], head_width, shift)
        self.channel = ChannelAttention(num_heads[1], head_width, stride)
        self.mixer = mixer(channels, channels)
        self.norm_attention = LayerNorm2d(channels, NORM_EPS)
        self.ffn = MLP(channels, 2 * channels, layer=conv1x1)
        self.norm_ffn = LayerNorm2d(channels, NORM_EPS)

    def forward(self, x: Tensor, helpers: tuple[Tensor, Tensor] | None) -> tuple[Tensor, ...]:
        """Return the features, the mixed attention, and the block's own two helpers."""
        batch, channels, height, width = x.shape
        heads = sum(self.num_heads)
        qkv = self.qkv(x).reshape(batch, heads, 3, channels // heads, height, width)
        spatial, channel = qkv.split(self.num_heads, dim=1)
        by_channel, by_space = helpers or (None, None)
        in_space = self.spatial(spatial, by_channel)
        query, key, value = channel.unbind(2)
        if by_space is not None:
            value = value * by_space
        in_channels = self.channel(query, key, value)
        mixed = self.mixer(torch.cat([in_space, in_channels], dim=1))
        out = self.norm_attention(mixed) + x
        out = self.norm_ffn(self.ffn(out)) + out
        by_channel = torch.unflatten(in_channels, 1, (self.num_heads[1], channels // heads))
        by_channel, by_space = (part.mean(1, keepdim=True) for part in (by_channel, in_space))
        return out, mixed, by_channel, by_space[:, None]


class Stage(nn.Module):
    """Blocks at one size; every other one has shifted windows."""

    def __init__(
        self,
        channels: int,
        depth: int,
        num_heads: tuple[int, int],
        mixer: Callable[[int, int], nn.Module],
        stride: int,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            MixingBlock(channels, num_heads, mixer, SHIFT if i % 2 else (0, 0), stride)
            for i in range(depth)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the mixed attention of the last block."""
        helpers = None
        mixed = x
        for block in self.blocks:
            x, mixed, by_channel, by_space = block(x, helpers)
            helpers = (by_channel, by_space)
        return x, mixed


class Downsizing(nn.Module):
    """Half the size: each square of four pixels becomes one of four times the width, then mixed."""

    def __init__(self, channels: int, mixer: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.norm = LayerNorm2d(4 * channels, NORM_EPS)
        self.mixer = mixer(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        pixels = F.pixel_unshuffle(x, 2)  # channel by channel; theirs is pixel by pixel
        pixels = torch.unflatten(pixels, 1, (x.shape[1], 4)).transpose(1, 2).flatten(1, 2)
        return self.mixer(self.norm(pixels))


class RAMiT(SRNetwork):
    """Three stages at falling size, a fourth at full size; (N, 3, H, W) to scale times that.

    The windows wrap around the image's borders: a pixel there sees the opposite border.

    Args:
        scale: Upscaling factor; 2, 3 or 4, for which the authors give colour statistics.
        channels: Feature width; a multiple of 16, and of all heads together; where mixers expand,
            it and 21/16 of it are multiples of `fusion_groups`.
        depths: Blocks per stage.
        num_heads: Heads of spatial and of channel attention.
        expansion: Inner width of the mixers; None for mixers that do not expand.
        fusion_expansion: The same for the two mixers that fuse the stages.
        fusion_groups: Groups of their expanding convolution.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        depths: Sequence[int] = (6, 4, 4, 6),
        num_heads: Sequence[int] = (3, 1),
        expansion: float | None = 1.2,
        fusion_expansion: float = 1.2,
        fusion_groups: int = 4,
    ) -> None:
        super().__init__(scale)
        if scale not in DEVIATION:
            raise ValueError(f"scale must be one of {tuple(DEVIATION)}, got {scale}")
        if len(num_heads) != 2 or min(num_heads) < 1:
            raise ValueError(f"num_heads must be two numbers above zero, got {num_heads}")
        multiple = max(STAGE_STRIDES) ** 2  # channels become pixels of full size
        if channels % multiple or channels % sum(num_heads):
            raise ValueError(
                f"channels (={channels}) must be a multiple of {multiple} and of the number of "
                f"heads (={sum(num_heads)})"
            )
        mixer: Callable[[int, int], nn.Module] = PlainMixer
        fusion_mixer = mixer
        if expansion is not None:
            mixer = partial(ExpandingMixer, expansion=expansion)
            fusion_mixer = partial(ExpandingMixer, expansion=fusion_expansion, groups=fusion_groups)
        for name, color in {"mean": MEAN, "deviation": DEVIATION[scale]}.items():
            self.register_constant(name, torch.tensor, [[[value]] for value in color])
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.stages = nn.ModuleList(
            Stage(channels, depth, (num_heads[0], num_heads[1]), mixer, stride)
            for depth, stride in zip(depths, STAGE_STRIDES, strict=True)
        )
        self.downsizings = nn.ModuleList(Downsizing(channels, mixer) for _ in range(2))
        shuffled = channels + channels // 4 + channels // 16
        self.bottleneck = nn.Sequential(
            fusion_mixer(shuffled, channels), LayerNorm2d(channels, NORM_EPS)
        )
        self.fuse_attention = fusion_mixer(shuffled + channels, channels)
        self.body_out = nn.Sequential(mixer(channels, channels), mixer(channels, channels))
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)
        self.tail = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = (pad_to_multiple(x, MULTIPLE, repeat_edge=True) - self.mean) / self.deviation
        shallow = self.head(x)
        current, pooled = shallow, shallow
        features, attention = [], []
        for level in range(3):
            if level:
                current = self.downsizings[level - 1](current)
                pooled = F.max_pool2d(pooled, 2)
            current, mixed = self.stages[level](current)
            features.append(F.pixel_shuffle(current + activate(pooled), 2**level))
            attention.append(F.pixel_shuffle(mixed, 2**level))
        deep, mixed = self.stages[3](self.bottleneck(torch.cat(features, dim=1)))
        gate = self.fuse_attention(torch.cat([*attention, mixed], dim=1))
        out = self.tail(self.upsampler(self.body_out(deep * gate + shallow)))
        return crop(out * self.deviation + self.mean, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=RAMiT,
    variants={
        "ramit": Variant(halo=170),
        "ramit_1": Variant(halo=170, arguments={"expansion": None}),
        "ramit_slim": Variant(
            halo=138,
            arguments={
                "channels": 48,
                "depths": (8, 2, 2, 8),
                "fusion_expansion": 2.0,
                "fusion_groups": 1,
            },
        ),
    },
    paper=Paper(
        "Reciprocal Attention Mixing Transformer for Lightweight Image Restoration",
        "CVPRW",
        2024,
        "2305.11474",
    ),
    tags=("transformer", "attention"),
    reference="rami0205/RAMiT",
    grid=MULTIPLE,
    global_statistics=True,
    wraps=True,
)
