"""SAFMN: spatially-adaptive feature modulation network, and its form for NTIRE 2023.

The channels are split in four, and each part is seen at a coarseness of its own: max-pooled to
cells, convolved depthwise and resized back, so that one layer sees near and far. Together they gate
the features that they came from. A 3x3 and a 1x1 convolution mix the channels afterwards. What was
entered to that year's efficient SR challenge (`safmn_ntire`) has no norms, coarser views and an
image skip; it is in the authors' code only.

```mermaid
flowchart LR
  x([features]) --> n1["norm"] --> views["4 parts: max pool by 1, 2, 4, 8; depthwise 3x3; resize"]
  views --> gate["concatenate, 1x1, GELU"] --> mul((*)) --> a1((+))
  n1 --> mul
  x --> a1 --> ffn["norm, 3x3, GELU, 1x1"] --> a2((+)) --> y([features])
  a1 --> a2
```

Paper: Sun et al., ICCV 2023, arXiv:2302.13800. RGB in [0, 1], no mean shift.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    SAFM,
    ConvFFN,
    LayerNorm2d,
    PixelShuffleUpsampler,
    crop,
    global_mean,
    global_size,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-6
CELLS = (1, 2, 4, 8)
NTIRE_CELLS = (1, 4, 8, 16)
FFN_EXPANSION = 2


class FeatureMixingModule(nn.Module):
    """SAFM and a convolutional channel mixer, each normalised before and skipped around."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_mixer = LayerNorm2d(channels, NORM_EPS)
        self.mixer = SAFM(channels, CELLS)
        self.norm_ffn = LayerNorm2d(channels, NORM_EPS)
        self.ffn = ConvFFN(channels, FFN_EXPANSION * channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm_mixer(x))
        return x + self.ffn(self.norm_ffn(x))


class SAFMN(SRNetwork):
    """A chain of mixing modules under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = max(CELLS)

    def __init__(self, *, scale: int, channels: int = 36, num_blocks: int = 8) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(FeatureMixingModule(channels) for _ in range(num_blocks)))
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, self.least_side))
        out = self.upsampler(shallow + self.body(shallow))
        return crop(out, self.scale * height, self.scale * width)


class GlobalResponseNorm(nn.Module):
    """Weights each channel by its energy over the whole image relative to the other channels'.

    Source: Woo et al., ConvNeXt V2, CVPR 2023, section 4.

    Shape: (N, channels, H, W) to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        height, width = global_size(x)
        energy = global_mean(x.square()).sqrt() * (height * width) ** 0.5
        share = energy / (energy.mean(1, keepdim=True) + NORM_EPS)
        return self.weight * (x * share) + self.bias + x


class PlainMixingModule(nn.Module):
    """SAFM and a convolutional channel mixer, each skipped around; no norms, no biases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixer = SAFM(channels, NTIRE_CELLS, bias=False)
        self.ffn = ConvFFN(channels, FFN_EXPANSION * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(x)
        return x + self.ffn(x)


class SAFMNNTIRE(SRNetwork):
    """Predicts what bilinear upscaling misses; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = max(NTIRE_CELLS)

    def __init__(self, *, scale: int, channels: int = 36, num_blocks: int = 8) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.norm = GlobalResponseNorm(channels)
        self.body = nn.Sequential(*(PlainMixingModule(channels) for _ in range(num_blocks)))
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = pad_to_minimum(x, self.least_side)
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        out = self.upsampler(self.body(self.norm(self.head(x)))) + base
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=SAFMN,
    variants={"safmn": Variant(halo=137)},
    paper=Paper(
        "Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution",
        "ICCV",
        2023,
        "2302.13800",
    ),
    tags=("cnn", "attention"),
    reference="sunny2109/SAFMN",
    reference_license="Apache-2.0",
    grid=max(CELLS),
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=SAFMNNTIRE,
        variants={"safmn_ntire": Variant(halo=273, scales=(4,))},
        grid=max(NTIRE_CELLS),
        global_statistics=True,
    ),
)
