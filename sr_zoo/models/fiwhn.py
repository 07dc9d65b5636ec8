"""FIWHN: feature interaction weighted hybrid network.

Two streams of wide residual units gate each other by the mean and the deviation of each channel,
and what they distil is fused. Three such blocks run twice with the same weights, and a transformer
on overlapping patches sits between the two runs. Learned scales weigh the skips.

```mermaid
flowchart LR
  x([features]) --> ea["unit, leaky ReLU"] --> ra["unit"] -- gated --> mb((+))
  x --> mb --> eb["unit, leaky ReLU"]
  x -- gated --> ma((+))
  ra --> ma -- gated --> ob((+))
  eb --> rb["unit"] --> ob
  rb -- gated --> oa((+))
  ma --> oa --> la["times sigmoid of 1x1, unit"] --> fuse["concatenate, fuse"] --> y([features])
  ob --> lb["times sigmoid of 1x1, unit"] --> fuse
```

Paper: Li et al., IEEE Transactions on Multimedia 2024, arXiv:2212.14181. RGB in [0, 1] outside, [0,
255] and mean-shifted inside.

Departs from the authors' evaluation code in one point: theirs never shows the network a whole image
but cuts it into overlapping quadrants, which published scores come from; here that is left to
tiling.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    DIV2K_MEAN,
    EfficientTransformer,
    PixelShuffleUpsampler,
    crop,
    global_mean,
    learned_factor,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.05
PIXEL_MAX = 255.0
GROUP_NORM_EPS = 1e-5


class ColorShift(nn.Module):
    """Moves colours, 0 to 255, by the mean of DIV2K.

    Meant as a constant; but nothing kept the authors' training from changing theirs, so that each
    of their checkpoints holds a colour transform of its own, which belongs to the network.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(3).view(3, 3, 1, 1))
        self.register_buffer("bias", sign * PIXEL_MAX * torch.tensor(DIV2K_MEAN))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)


class ShuffleAttention(nn.Module):
    """Gates half of the channels by their mean, half by their normalised values, group by group.

    Source: Zhang and Yang, SA-Net, ICASSP 2021; all groups share their parameters.
    """

    GROUPS = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // (2 * self.GROUPS)
        self.channel_weight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.channel_bias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.spatial_weight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.spatial_bias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.norm_weight = nn.Parameter(torch.ones(half))
        self.norm_bias = nn.Parameter(torch.zeros(half))
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        # all channels at once, each with its mean, slope and offset: cut into groups and put
        # together again, this map and all that come after would be laid out plane by plane
        mean = global_mean(x)
        centred = x - mean
        to_halves = (self.GROUPS, 2, -1)
        half = torch.unflatten(centred, 1, to_halves)[:, :, 1].flatten(1, 2)
        variance = torch.unflatten(global_mean(half.square()), 1, (self.GROUPS, -1))
        slope = self.spatial_weight * (variance + GROUP_NORM_EPS).rsqrt()
        slope = slope * self.norm_weight[:, None, None]
        offset = self.spatial_weight * self.norm_bias[:, None, None] + self.spatial_bias
        by_mean = torch.unflatten(mean, 1, to_halves)[:, :, 0] * self.channel_weight
        slopes = torch.stack([torch.zeros_like(slope), slope], dim=2).flatten(1, 3)
        offsets = torch.stack([by_mean + self.channel_bias, offset.expand_as(slope)], dim=2)
        gate = torch.sigmoid(torch.addcmul(offsets.flatten(1, 3), centred, slopes))
        return self.shuffle(x * gate)


class WideUnit(nn.Module):
    """Wide activation and a narrow waist before the 3x3, scaled; without a skip (x2 and x3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = wide_body(channels, channels // 2, channels)
        self.body_scale = learned_factor()

    def forward(self, x: Tensor) -> Tensor:
        return self.body_scale * self.body(x)


class AttentiveWideUnit(WideUnit):
    """The same with shuffle attention and a scaled skip (x4)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.attention = ShuffleAttention(channels)
        self.skip_scale = learned_factor()

    def forward(self, x: Tensor) -> Tensor:
        return self.body_scale * self.attention(self.body(x)) + self.skip_scale * x


class FusingUnit(nn.Module):
    """Halves the width: a wide body, with `attention` behind it, plus a 3x3, both scaled."""

    def __init__(self, in_channels: int, attention: nn.Module) -> None:
        super().__init__()
        channels = in_channels // 2
        self.body = wide_body(in_channels, channels, channels)
        self.attention = attention
        self.body_scale = learned_factor()
        self.skip = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.skip_scale = learned_factor()

    def forward(self, x: Tensor) -> Tensor:
        return self.body_scale * self.attention(self.body(x)) + self.skip_scale * self.skip(x)


def wide_body(in_channels: int, waist: int, channels: int) -> nn.Sequential:
    """Return 1x1 to twice the width, ReLU, 1x1 to `waist`, 3x3 to `channels`."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 2 * in_channels, 1),
        nn.ReLU(),
        nn.Conv2d(2 * in_channels, waist, 1),
        nn.Conv2d(waist, channels, 3, padding=1),
    )


class InteractionGate(nn.Module):
    """One factor per channel out of its mean and its standard deviation over the whole image.

    A ReLU precedes the sigmoid, so that no factor is below one half.
    """

    REDUCTION = 8

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = self._bottleneck(channels)
        self.deviation = self._bottleneck(channels)

    def _bottleneck(self, channels: int) -> nn.Sequential:
        reduced = channels // self.REDUCTION
        return nn.Sequential(
            nn.Conv2d(channels, reduced, 1),
            nn.ReLU(),
            nn.Conv2d(reduced, channels, 1),
            nn.ReLU(),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = global_mean(x)
        variance = global_mean((x - mean).square())
        # a flat channel has no gradient at the root of zero; the smallest number has one of zero
        deviation = variance.clamp_min(torch.finfo(x.dtype).tiny).sqrt()
        return (self.mean(mean) + self.deviation(deviation)) / 2


class InteractionBlock(nn.Module):
    """Wide-residual distillation interaction block: two streams that gate each other (WDIB)."""

    def __init__(self, channels: int, unit: type[WideUnit], fuse: FusingUnit) -> None:
        super().__init__()
        self.enter_a, self.enter_b = unit(channels), unit(channels)
        self.refine_a, self.refine_b = unit(channels), unit(channels)
        self.leave_a, self.leave_b = unit(channels), unit(channels)
        self.gate_a1, self.gate_a2 = InteractionGate(channels), InteractionGate(channels)
        self.gate_b1, self.gate_b2 = InteractionGate(channels), InteractionGate(channels)
        self.distil_b = nn.Conv2d(channels, channels, 1, bias=False)
        self.distil_a = nn.Conv2d(channels, channels, 1, bias=False)
        self.scale_a, self.scale_b = learned_factor(), learned_factor()
        self.fuse = fuse
        self.fuse_gate = nn.Conv2d(2 * channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        distilled_a = F.leaky_relu(self.enter_a(x), LEAKY_SLOPE)
        a = self.refine_a(distilled_a)
        mixed_b = self.gate_a1(a) * a + x
        mixed_a = self.gate_b1(x) * x + a
        distilled_b = F.leaky_relu(self.enter_b(mixed_b), LEAKY_SLOPE)
        b = self.refine_b(distilled_b)
        out_b = (self.gate_a2(mixed_a) * mixed_a + b) * torch.sigmoid(self.distil_b(distilled_b))
        out_a = (self.gate_b2(b) * b + mixed_a) * torch.sigmoid(self.distil_a(distilled_a))
        out_a, out_b = self.leave_a(out_a), self.leave_b(out_b)
        both = torch.cat([self.scale_a * out_a, self.scale_b * out_b], dim=1)
        return self.fuse(both) + torch.sigmoid(self.fuse_gate(both)) * out_b


class ShuffledFusion(nn.Sequential):
    """Halves the width by a 3x3 convolution in four groups, whose outputs are then interleaved."""

    GROUPS = 4

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(2 * channels, channels, 3, padding=1, groups=self.GROUPS, bias=False),
            nn.ChannelShuffle(self.GROUPS),
        )


class FIWHN(SRNetwork):
    """Interaction blocks run twice, a transformer in between; (N, 3, H, W) to scale times that.

    Both runs have the same parameters. Attention spans the whole image.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_heads: Of the transformers.
        attentive: Whether the wide units have shuffle attention and a skip; the authors' networks
            do at x4 and do not at x2 and x3.
    """

    least_side = 2  # the transformer quarters the image's pixels, so there must be four

    def __init__(
        self, *, scale: int, channels: int = 32, num_heads: int = 9, attentive: bool = False
    ) -> None:
        super().__init__(scale)
        unit = AttentiveWideUnit if attentive else WideUnit
        self.subtract_mean, self.add_mean = ColorShift(-1), ColorShift(1)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList()
        for _ in range(3):
            attention = ShuffleAttention(channels) if attentive else nn.Identity()
            fuse = FusingUnit(2 * channels, attention)
            self.blocks.append(InteractionBlock(channels, unit, fuse))
        self.fuse_first = ShuffledFusion(channels)
        self.fuse_last = ShuffledFusion(channels)
        self.body_scale, self.skip_scale = learned_factor(0.5), learned_factor(0.5)
        self.to_transformer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.transformer = nn.Sequential(
            EfficientTransformer(channels, num_heads), EfficientTransformer(channels, num_heads)
        )
        self.from_transformer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.fuse = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)
        self.image_head = nn.Conv2d(3, channels, 3, padding=1)
        self.image_upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        image = self.subtract_mean(pad_to_minimum(x, self.least_side) * PIXEL_MAX)
        shallow = self.head(image)
        first = self.blocks[0](shallow)
        second = self.blocks[1](first)
        body = self._combine(shallow, first, second, self.blocks[2](second))
        context = self.transformer(self.to_transformer(second) + shallow)
        first = self.blocks[0](body)
        second = self.blocks[1](first + self.from_transformer(context))
        deep = self._combine(body, first, second, self.blocks[2](second))
        deep = self.body_out(self.fuse(torch.cat([deep, context], dim=1)))
        out = self.upsampler(deep) + self.image_upsampler(self.image_head(image))
        out = self.add_mean(out) / PIXEL_MAX
        return crop(out, self.scale * height, self.scale * width)

    def _combine(self, x: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
        """Fuse what three blocks made of `x`, and add `x`."""
        fused = self.fuse_first(torch.cat([first, second], dim=1))
        fused = self.fuse_last(torch.cat([fused, third], dim=1))
        return self.body_scale * (fused + third) + self.skip_scale * x


SPEC = ArchSpec(
    network=FIWHN,
    variants={"fiwhn": Variant(halo=41, scale_arguments={4: {"attentive": True}})},
    paper=Paper(
        "Efficient Image Super-Resolution with Feature Interaction Weighted Hybrid Network",
        "IEEE Transactions on Multimedia",
        2024,
        "2212.14181",
    ),
    tags=("transformer", "attention", "distillation"),
    reference="IVIPLab/FIWHN",
    global_statistics=True,
    global_attention=True,
)
