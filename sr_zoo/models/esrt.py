"""ESRT: efficient super-resolution transformer.

A small convolutional backbone works on low and high frequencies apart: what an average pool keeps
is low and is refined at half size, five times with the same weights; what it loses is high. A
single transformer layer on overlapping 3x3 patches follows, which attends within quarters of the
image to save memory. Learned scales weigh the skips everywhere.

```mermaid
flowchart LR
  x([features]) --> enter["ARFB"] --> pool["average pool"] --> low["ARFB, 5 times"] --> up["resize"]
  enter --> minus["minus the pooled"] --> high["ARFB"]
  pool -- resized --> minus
  up & high --> fuse["concatenate, 1x1, ReLU"] --> ca["channel attention"] --> leave["ARFB"]
  leave --> add((+)) --> y([features])
  x --> add
```

An ARFB (adaptive residual feature block) is two scaled residual units, fused, channel-gated,
convolved and added.

Paper: Lu et al., CVPRW 2022, arXiv:2108.11084. RGB in [0, 1], no mean shift.

Departs from the authors' evaluation code in one point: theirs never shows the network a whole image
but cuts it into overlapping quadrants, which published scores come from; here that is left to
tiling.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    CALayer,
    CollectingChain,
    EfficientTransformer,
    StagedUpsampler,
    crop,
    learned_factor,
    pad_to_minimum,
    resize_pooled,
    run_stages,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

POOL = 2
LOW_PASSES = 5  # how often the low frequencies pass through their block
REDUCTION = 16  # of the channel attention


class ResidualUnit(nn.Module):
    """A narrow pair of 3x3 convolutions beside the identity, both scaled (section 3.2, RU)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.act = nn.PReLU(channels // 2)
        self.expand = nn.Conv2d(channels // 2, channels, 3, padding=1)
        self.skip_scale, self.body_scale = learned_factor(), learned_factor()

    def forward(self, x: Tensor) -> Tensor:
        return self.skip_scale * x + self.body_scale * self.expand(self.act(self.reduce(x)))


class AdaptiveResidualBlock(nn.Module):
    """Two residual units, fused, channel-gated and added, each share scaled (ARFB, section 3.2).

    `stride` counts the LR pixels per cell of the map that it works on.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.second = ResidualUnit(channels), ResidualUnit(channels)
        self.first_scale, self.second_scale = learned_factor(), learned_factor()
        self.fuse_features = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1, bias=False), nn.ReLU()
        )
        self.attention = CALayer(channels, channels // REDUCTION, stride=stride)
        self.project = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.ReLU()
        )
        self.skip_scale, self.body_scale = learned_factor(), learned_factor()

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        both = torch.cat([self.second_scale * self.second(first), self.first_scale * first], dim=1)
        body = self.project(self.attention(self.fuse_features(both)))
        return self.skip_scale * x + self.body_scale * body


class HighPreservingBlock(nn.Module):
    """Works on low and high frequencies apart, the low ones at half size (HPB, section 3.2).

    What an average pool keeps is low, the rest high. The block for the low ones is applied
    `LOW_PASSES` times with the same weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = AdaptiveResidualBlock(channels)
        self.low = AdaptiveResidualBlock(channels, POOL)
        self.high = AdaptiveResidualBlock(channels)
        self.fuse_features = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1, bias=False), nn.ReLU()
        )
        self.attention = CALayer(channels, channels // REDUCTION)
        self.leave = AdaptiveResidualBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[-2], x.shape[-1])
        resize = partial(resize_pooled, size=size, window=POOL, stride=POOL, align_corners=True)
        features = self.enter(x)
        low = F.avg_pool2d(features, POOL)
        high = self.high(features - resize(low))
        for _ in range(LOW_PASSES):
            low = self.low(low)
        both = self.fuse_features(torch.cat([resize(low), high], dim=1))
        return x + self.leave(self.attention(both))


class ESRT(SRNetwork):
    """A CNN backbone, then a transformer; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Attention spans the whole image.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_blocks: High-preserving blocks.
        num_heads: Of the transformer.
    """

    least_side = POOL

    def __init__(
        self, *, scale: int, channels: int = 32, num_blocks: int = 3, num_heads: int = 8
    ) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = CollectingChain(*(HighPreservingBlock(channels) for _ in range(num_blocks)))
        self.fuse_features = nn.Conv2d(num_blocks * channels, channels, 3, padding=1)
        self.transformer = nn.Sequential(
            EfficientTransformer(channels, num_heads),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.skip_scale, self.transformer_scale = learned_factor(), learned_factor()
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = StagedUpsampler(channels, scale)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)
        self.skip_upsampler = StagedUpsampler(channels, scale)
        self.skip_tail = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1, bias=False), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, self.least_side))
        context = self.transformer(self.fuse_features(self.blocks(shallow)))
        deep = self.body_out(self.skip_scale * shallow + self.transformer_scale * context)
        out = run_stages(deep, self.upsampler, self.tail, scale=self.scale)
        skip = run_stages(shallow, self.skip_upsampler, self.skip_tail, scale=self.scale)
        return crop(out + skip, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=ESRT,
    variants={"esrt": Variant(halo=192)},
    paper=Paper("Transformer for Single Image Super-Resolution", "CVPRW", 2022, "2108.11084"),
    tags=("transformer", "attention"),
    reference="luissen/ESRT",
    reference_license="MIT",
    grid=POOL,
    global_statistics=True,
    global_attention=True,
)
