"""CFSR: a ConvFormer, a transformer's layout with large convolutions in place of self-attention.

A large depthwise convolution gathers what lies around each pixel and multiplies the pixel's values,
which is self-attention's work at a cost linear in the picture's size. The feed-forward block sees
its neighbours too, through a depthwise 3x3 that is meant to keep edges. Both are normalised before,
scaled channel by channel and skipped around.

```mermaid
flowchart LR
  x([features]) --> n1["norm"] --> context["1x1, GELU, depthwise 9x9"] --> mul((*))
  n1 --> values["1x1"] --> mul --> p1["1x1, scale"] --> a1((+))
  x --> a1 --> n2["norm"] --> expand["1x1, GELU"] --> edge["depthwise 3x3, GELU"] --> s((+))
  expand --> s --> p2["1x1, scale"] --> a2((+)) --> y([features])
  a1 --> a2
```

Paper: Wu et al., IEEE TIP 2024, arXiv:2401.05633. RGB in [0, 1], mean-shifted inside.

Departs from the paper in one point: its edge-preserving depthwise convolution is the merged one, a
plain 3x3, as in the authors' released network and weights.
"""

import torch
from torch import Tensor, nn

from sr_zoo.blocks import (
    LayerNorm2d,
    MeanShift,
    PixelShuffleUpsampler,
    ResidualDepthwiseFFN,
    channels_first,
    channels_last,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-6
LAYER_SCALE = 1e-6  # what each residual branch is multiplied by before training


class LargeKernelMixer(nn.Module):
    """Modulates each pixel by what a large depthwise convolution sees around it (section III-B)."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.context = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.GELU(),
            nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels),
        )
        self.values = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.context(x) * self.values(x))


class ConvFormerBlock(nn.Module):
    """Mixer and feed-forward block, each normalised before, scaled after and skipped around."""

    def __init__(self, channels: int, kernel_size: int, hidden: int) -> None:
        super().__init__()
        self.norm_mixer = LayerNorm2d(channels, NORM_EPS)
        self.mixer = LargeKernelMixer(channels, kernel_size)
        self.scale_mixer = nn.Parameter(torch.full((channels,), LAYER_SCALE))
        self.norm_ffn = LayerNorm2d(channels, NORM_EPS)
        # edge-preserving in the paper, section III-C
        self.ffn = ResidualDepthwiseFFN(channels, hidden, kernel_size=3)
        self.scale_ffn = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale_mixer[:, None, None] * self.mixer(self.norm_mixer(x))
        mixed = channels_first(self.ffn(channels_last(self.norm_ffn(x))))
        return x + self.scale_ffn[:, None, None] * mixed


class ConvFormerLayer(nn.Module):
    """A chain of blocks and a residual 1x1 convolution behind them."""

    def __init__(self, channels: int, depth: int, kernel_size: int, hidden: int) -> None:
        super().__init__()
        blocks = [ConvFormerBlock(channels, kernel_size, hidden) for _ in range(depth)]
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        return x + self.project(x)


class CFSR(SRNetwork):
    """ConvFormer layers under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_layers: Groups of blocks.
        depth: Blocks per group.
        kernel_size: Of the mixers' depthwise convolution.
        expansion: Hidden width of the feed-forward blocks, in multiples of `channels`.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 48,
        num_layers: int = 2,
        depth: int = 6,
        kernel_size: int = 9,
        expansion: int = 2,
    ) -> None:
        super().__init__(scale)
        layers = [
            ConvFormerLayer(channels, depth, kernel_size, expansion * channels)
            for _ in range(num_layers)
        ]
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*layers)
        self.norm = LayerNorm2d(channels, NORM_EPS)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x))
        deep = self.body_out(self.norm(self.body(shallow)))
        return self.mean_shift.restore(self.upsampler(shallow + deep))


SPEC = ArchSpec(
    network=CFSR,
    variants={"cfsr": Variant(halo=63)},
    paper=Paper(
        "Transforming Image Super-Resolution: A ConvFormer-based Efficient Approach",
        "IEEE TIP",
        2024,
        "2401.05633",
    ),
    tags=("cnn", "attention"),
    reference="Aitical/CFSR",
    reference_license=None,
)
