"""RFDN: residual feature distillation network.

IMDN's distillation by other means: instead of splitting channels off, a 1x1 beside each convolution
takes a part out of the chain, and every convolution adds its input. The parts are fused and gated
by enhanced spatial attention (ESA). A block has no skip around it; the outputs of all blocks are
fused before the upsampler.

```mermaid
flowchart LR
  x([features]) --> r1["3x3 + input, leaky ReLU"] --> r2["3x3 + input, leaky ReLU"]
  r2 --> r3["3x3 + input, leaky ReLU"] --> last["3x3, leaky ReLU"]
  x & r1 & r2 --> part["each: 1x1, leaky ReLU"]
  part & last --> fuse["concatenate, 1x1"] --> esa["ESA"] --> y([features])
```

Paper: Liu, Tang and Wu, ECCVW 2020, arXiv:2009.11551. RGB in [0, 1] outside, [0, 255] inside.

This is the network that won the AIM 2020 challenge and that the authors published, with four
blocks; the paper's table shows one with six whose code is not public. They published it for x4; at
x2 and x3 only the upsampler differs.
"""

from functools import partial

from torch import Tensor, nn

from sr_zoo.blocks import (
    ESA,
    CollectingChain,
    FeatureDistillation,
    PixelShuffleUpsampler,
    crop,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.05
PIXEL_MAX = 255.0  # the authors' test feeds [0, 255], without mean shift
DISTILLATION = 2  # half of the channels leave after each convolution
ESA_REDUCTION = 4


class RFDB(nn.Sequential):
    """Residual feature distillation block: distillation, then ESA, without a skip around it."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            FeatureDistillation(
                channels, channels // DISTILLATION, act=partial(nn.LeakyReLU, LEAKY_SLOPE)
            ),
            ESA(channels, channels // ESA_REDUCTION),
        )


class RFDN(SRNetwork):
    """A chain of RFDBs whose outputs are all fused; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = ESA.WINDOW

    def __init__(self, *, scale: int, channels: int = 50, num_blocks: int = 4) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = CollectingChain(*(RFDB(channels) for _ in range(num_blocks)))
        self.fuse_features = nn.Sequential(
            nn.Conv2d(num_blocks * channels, channels, 1), nn.LeakyReLU(LEAKY_SLOPE)
        )
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, self.least_side) * PIXEL_MAX)
        deep = self.body_out(self.fuse_features(self.body(shallow)))
        out = self.upsampler(shallow + deep) / PIXEL_MAX
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=RFDN,
    variants={"rfdn": Variant(halo=172)},
    paper=Paper(
        "Residual Feature Distillation Network for Lightweight Image Super-Resolution",
        "ECCVW",
        2020,
        "2009.11551",
    ),
    tags=("cnn", "attention", "distillation"),
    reference="njulj/RFDN",
    reference_license="MIT",
    grid=ESA.STRIDE,
)
