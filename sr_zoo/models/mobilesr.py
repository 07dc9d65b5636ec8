"""MobileSR: window attention and inverted residual convolutions in turn.

A transformer block without shifts or position bias lets the pixels of an 8x8 window see each other;
a depthwise convolution before it tells them where they are. The inverted residual block after it
carries information across the windows' borders. What five such pairs give predicts what bilinear
upscaling misses.

```mermaid
flowchart LR
  x([features]) --> pos["add depthwise 3x3"] --> n1["norm"] --> att["8x8 window attention"]
  att --> a1((+)) --> mlp["norm, MLP"] --> a2((+))
  pos --> a1 --> a2
  a2 --> inv["1x1, leaky ReLU, depthwise 3x3, leaky ReLU, 1x1"] --> a3((+)) --> y([features])
  a2 --> a3
```

Paper: Li et al., CVPRW 2022, arXiv:2205.05675 (NTIRE 2022 efficient SR report, team NJUST_ESR). RGB
in [0, 1], no mean shift.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    MLP,
    StagedUpsampler,
    attend_heads,
    channels_first,
    channels_last,
    crop,
    merge,
    next_multiple,
    partition,
    run_stages,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.2
WINDOW = 8
NORM_EPS = 1e-5


class PlainWindowAttention(nn.Module):
    """Multi-head self-attention inside windows without shifts or position bias.

    What is missing to whole windows is filled with zeros, which are attended to like pixels, as the
    authors do.

    Shape: channels-last, (N, H, W, channels) to the same.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1], x.shape[2]
        size = (next_multiple(height, WINDOW), next_multiple(width, WINDOW))
        padded = F.pad(x, (0, 0, 0, size[1] - width, 0, size[0] - height))
        windows = partition(padded, (WINDOW, WINDOW))
        windows = self.project(attend_heads(self.qkv(windows), self.num_heads))
        whole = merge(windows, (WINDOW, WINDOW), size)
        return channels_last(crop(channels_first(whole), height, width))


class TransformerBlock(nn.Module):
    """A convolutional position embedding, window attention and a feed-forward part."""

    def __init__(self, channels: int, num_heads: int, expansion: int) -> None:
        super().__init__()
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm_attention = nn.LayerNorm(channels, NORM_EPS)
        self.attention = PlainWindowAttention(channels, num_heads)
        self.norm_ffn = nn.LayerNorm(channels, NORM_EPS)
        self.ffn = MLP(channels, expansion * channels)

    def forward(self, x: Tensor) -> Tensor:
        x = channels_last(x + self.position(x))
        x = x + self.attention(self.norm_attention(x))
        return channels_first(x + self.ffn(self.norm_ffn(x)))


class InvertedResidual(nn.Module):
    """Widens, convolves each channel by itself, narrows again; skipped around."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * channels
        self.convs = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.convs(x)


class MobileSR(SRNetwork):
    """Predicts what bilinear upscaling misses; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_heads: Of each attention; divides `channels`.
        expansions: Per pair of blocks, the hidden width of both as a multiple of `channels`.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 40,
        num_heads: int = 8,
        expansions: Sequence[int] = (4, 2, 2, 2, 4),
    ) -> None:
        super().__init__(scale)
        pairs = [
            nn.Sequential(
                TransformerBlock(channels, num_heads, expansion),
                InvertedResidual(channels, expansion),
            )
            for expansion in expansions
        ]
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*pairs)
        self.fuse_features = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.upsampler = StagedUpsampler(channels, scale, kernel_size=1)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        shallow = self.head(x)
        features = self.fuse_features(torch.cat([shallow, self.body(shallow)], dim=1))
        act = partial(F.leaky_relu, negative_slope=LEAKY_SLOPE)
        return run_stages(features, self.upsampler, act, self.tail, scale=self.scale) + base


SPEC = ArchSpec(
    network=MobileSR,
    variants={"mobilesr": Variant(halo=44, scales=(4,))},
    paper=Paper(
        "NTIRE 2022 Challenge on Efficient Super-Resolution: Methods and Results",
        "CVPRW",
        2022,
        "2205.05675",
    ),
    tags=("transformer", "mobile"),
    reference="ofsoundof/NTIRE2022_ESR",
    reference_license="MIT",
    grid=WINDOW,
)
