"""BSRN: blueprint separable residual network, and BSRN-S, its small form.

RFDN's distillation with every 3x3 convolution replaced by a blueprint separable one: a 1x1 that
mixes channels, then a depthwise 3x3. Spatial attention (ESA) and contrast-aware channel attention
(CCA) gate what a block distilled. BSRN-S, which won the model complexity track of NTIRE 2022's
efficient SR challenge, has a learned gain per channel and a 1x1 in place of the channel attention.

```mermaid
flowchart LR
  x([features]) --> r1["BSConv + input, GELU"] --> r2["BSConv + input, GELU"]
  r2 --> r3["BSConv + input, GELU"] --> last["BSConv, GELU"]
  x & r1 & r2 --> part["each: 1x1, GELU"]
  part & last --> fuse["concatenate, 1x1"] --> esa["ESA"] --> cca["CCA"]
  cca --> add((+)) --> y([features])
  x --> add
```

Paper: Li et al., CVPRW 2022, arXiv:2205.05996. RGB in [0, 1], no mean shift.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from sr_zoo.blocks import (
    ESA,
    BSConv,
    CollectingChain,
    ContrastAwareCALayer,
    FeatureDistillation,
    PixelShuffleUpsampler,
    crop,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

INPUT_COPIES = 4  # the first blueprint convolution reads the image that many times over
DISTILLATION = 2  # half of the channels leave after each convolution
ESA_REDUCTION = 4
CCA_REDUCTION = 16
GAIN_STD = 0.2  # BSRN-S's channel gains start around 1, in the authors' code
BiasedBSConv = partial(BSConv, pointwise_bias=True)


class ESDB(nn.Module):
    """Efficient separable distillation block: distillation, then ESA and CCA, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.distillation = FeatureDistillation(
            channels, channels // DISTILLATION, act=nn.GELU, conv=BSConv
        )
        self.spatial_attention = ESA(channels, channels // ESA_REDUCTION, act=nn.GELU, conv=BSConv)
        self.channel_attention = ContrastAwareCALayer(channels, channels // CCA_REDUCTION)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.channel_attention(self.spatial_attention(self.distillation(x)))


class PlainStrideESA(ESA):
    """ESA whose strided convolution is a full one, all others blueprint."""

    def __init__(self, channels: int) -> None:
        reduced = channels // ESA_REDUCTION
        super().__init__(channels, reduced, act=nn.GELU, conv=BiasedBSConv)
        self.stride = nn.Conv2d(reduced, reduced, 3, stride=2)


class SmallESDB(nn.Module):
    """ESDB with a learned gain per channel and a 1x1 in place of its channel attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.distillation = FeatureDistillation(
            channels, channels // DISTILLATION, act=nn.GELU, conv=BiasedBSConv
        )
        self.attention = PlainStrideESA(channels)
        self.gain = nn.Parameter(1 + GAIN_STD * torch.randn(channels, 1, 1))
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.gain * self.attention(self.distillation(x))).add_(x)


class BlueprintNetwork(SRNetwork):
    """A chain of blocks whose outputs are all fused, between convolutions of the kind `conv`."""

    least_side = ESA.WINDOW

    def __init__(
        self, scale: int, channels: int, blocks: Iterable[nn.Module], conv: Callable[..., nn.Module]
    ) -> None:
        super().__init__(scale)
        self.head = conv(INPUT_COPIES * 3, channels, 3, padding=1)
        self.body = CollectingChain(*blocks)
        self.fuse_features = nn.Sequential(
            nn.Conv2d(len(self.body) * channels, channels, 1), nn.GELU()
        )
        self.body_out = conv(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        # `repeat` would lay the copies, and with them every map that follows, out plane by plane
        copies = torch.cat([pad_to_minimum(x, self.least_side)] * INPUT_COPIES, dim=1)
        shallow = self.head(copies)
        deep = self.body_out(self.fuse_features(self.body(shallow)))
        return crop(self.upsampler(shallow + deep), self.scale * height, self.scale * width)


class BSRN(BlueprintNetwork):
    """A chain of ESDBs; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 8) -> None:
        super().__init__(scale, channels, (ESDB(channels) for _ in range(num_blocks)), BSConv)


class BSRNS(BlueprintNetwork):
    """A chain of the small blocks; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 48, num_blocks: int = 5) -> None:
        blocks = (SmallESDB(channels) for _ in range(num_blocks))
        super().__init__(scale, channels, blocks, BiasedBSConv)


SPEC = ArchSpec(
    network=BSRN,
    variants={"bsrn": Variant(halo=340)},
    paper=Paper(
        "Blueprint Separable Residual Network for Efficient Image Super-Resolution",
        "CVPRW",
        2022,
        "2205.05996",
    ),
    tags=("cnn", "attention", "distillation"),
    reference="xiaom233/BSRN",
    reference_license="MIT",
    grid=ESA.STRIDE,
    global_statistics=True,
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=BSRNS,
        variants={"bsrn_s": Variant(halo=215, scales=(4,))},
        global_statistics=False,
    ),
)
