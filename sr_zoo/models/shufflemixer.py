"""ShuffleMixer: large depthwise convolutions between point-wise layers that see half the channels.

A large depthwise kernel sees far at little cost; the point-wise layers before and after it mix only
half of the channels, and a channel shuffle hands the halves around. Two such layers and a 3x3
convolution make a block. The network predicts what bilinear upscaling misses.

```mermaid
flowchart LR
  x([features]) --> m1["norm, MLP on one half, shuffle"] --> a1((+)) --> dw["depthwise 7x7"]
  x --> a1
  dw --> m2["norm, MLP on one half, shuffle"] --> a2((+)) --> again["the same again"]
  dw --> a2
  again --> a3((+)) --> convs["3x3, SiLU, 1x1"] --> a4((+)) --> y([features])
  x --> a3 --> a4
```

Paper: Sun et al., NeurIPS 2022, arXiv:2205.15175. RGB in [0, 1], no mean shift.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import MLP, StagedUpsampler, channels_first, channels_last, conv1x1, run_stages
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-5
SHUFFLE_GROUPS = 8
MLP_EXPANSION = 2
LAYERS_PER_BLOCK = 2
CONV_SURPLUS = 16  # channels that a block's 3x3 convolution adds in the middle


class BiasFreeNorm2d(nn.Module):
    """Layer normalisation over the channels of each pixel with a weight but no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = self.weight.shape
        return channels_first(F.layer_norm(channels_last(x), shape, self.weight, eps=NORM_EPS))


class SplitMLP(nn.Module):
    """Mixes the first half of the channels pixel by pixel, then shuffles both halves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.mlp = MLP(half, MLP_EXPANSION * half, act=nn.SiLU, layer=conv1x1)
        self.shuffle = nn.ChannelShuffle(SHUFFLE_GROUPS)

    def forward(self, x: Tensor) -> Tensor:
        mixed, passing = x.chunk(2, dim=1)
        return self.shuffle(torch.cat([self.mlp(mixed), passing], dim=1))


class ShuffleMixerLayer(nn.Module):
    """A depthwise convolution between two split layers; only these are skipped around."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.norm_in = BiasFreeNorm2d(channels)
        self.mlp_in = SplitMLP(channels)
        self.spatial = nn.Conv2d(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels
        )
        self.norm_out = BiasFreeNorm2d(channels)
        self.mlp_out = SplitMLP(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.spatial(x + self.mlp_in(self.norm_in(x)))
        return x + self.mlp_out(self.norm_out(x))


class FeatureMixingBlock(nn.Module):
    """Two mixer layers, then a 3x3 and a 1x1 convolution, each part skipped around."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        layers = [ShuffleMixerLayer(channels, kernel_size) for _ in range(LAYERS_PER_BLOCK)]
        self.mixers = nn.Sequential(*layers)
        self.convs = nn.Sequential(
            nn.Conv2d(channels, channels + CONV_SURPLUS, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels + CONV_SURPLUS, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixers(x)
        return x + self.convs(x)


class ShuffleMixer(SRNetwork):
    """Predicts what bilinear upscaling misses; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(
        self, *, scale: int, channels: int = 64, kernel_size: int = 7, num_blocks: int = 5
    ) -> None:
        super().__init__(scale)
        blocks = [FeatureMixingBlock(channels, kernel_size) for _ in range(num_blocks)]
        self.head = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(*blocks)
        self.upsampler = StagedUpsampler(channels, scale, kernel_size=1, act=nn.SiLU)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        features = self.body(self.head(x))
        return run_stages(features, self.upsampler, self.tail, scale=self.scale) + base


SPEC = ArchSpec(
    network=ShuffleMixer,
    variants={
        "shufflemixer": Variant(halo=37),
        "shufflemixer_tiny": Variant(halo=17, arguments={"channels": 32, "kernel_size": 3}),
    },
    paper=Paper(
        "ShuffleMixer: An Efficient ConvNet for Image Super-Resolution",
        "NeurIPS",
        2022,
        "2205.15175",
    ),
    tags=("cnn",),
    reference="sunny2109/ShuffleMixer",
    reference_license="MIT",
)
