"""IMDN: information multi-distillation network, and IMDN_RTC, its small form.

After each 3x3 convolution a quarter of the channels leaves the chain and the rest is refined
further; the four quarters together are gated by contrast-aware channel attention (CCA), mixed by a
1x1 and added to the input. The outputs of all blocks are fused before the upsampler. IMDN_RTC, what
the authors entered in the AI in RTC challenge of 2019, is narrow, without attention and in a plain
chain; it is in their repository only.

```mermaid
flowchart LR
  x([features]) --> c1["3x3, leaky ReLU"] -- "3/4" --> c2["3x3, leaky ReLU"]
  c2 -- "3/4" --> c3["3x3, leaky ReLU"] -- "3/4" --> c4["3x3"]
  c1 & c2 & c3 -- "1/4" --> cat["concatenate"]
  c4 --> cat --> cca["CCA"] --> mix["1x1"] --> add((+)) --> y([features])
  x --> add
```

Paper: Hui et al., ACM MM 2019, arXiv:1909.11856. RGB in [0, 1], no mean shift.
"""

from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from sr_zoo.blocks import (
    CollectingChain,
    ContrastAwareCALayer,
    InformationMultiDistillation,
    PixelShuffleUpsampler,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.05
DISTILLATION = 4  # a quarter of the channels leaves after each convolution
CCA_REDUCTION = 16


def distillation_block(channels: int, attention: nn.Module) -> nn.Module:
    """Return the block that both networks repeat."""
    act = partial(nn.LeakyReLU, LEAKY_SLOPE)
    return InformationMultiDistillation(
        channels, channels // DISTILLATION, act=act, attention=attention
    )


class IMDN(SRNetwork):
    """Distillation blocks whose outputs are all fused; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 6) -> None:
        super().__init__(scale)
        reduced = channels // CCA_REDUCTION
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = CollectingChain(
            *(
                distillation_block(channels, ContrastAwareCALayer(channels, reduced))
                for _ in range(num_blocks)
            )
        )
        self.fuse_features = nn.Sequential(
            nn.Conv2d(num_blocks * channels, channels, 1), nn.LeakyReLU(LEAKY_SLOPE)
        )
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        deep = self.body_out(self.fuse_features(self.body(shallow)))
        return self.upsampler(shallow + deep)


class IMDNRTC(SRNetwork):
    """The blocks without their attention, in a plain chain under one long skip.

    Shape: (N, 3, H, W) to (N, 3, scale*H, scale*W).
    """

    def __init__(self, *, scale: int, channels: int = 12, num_blocks: int = 5) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(distillation_block(channels, nn.Identity()) for _ in range(num_blocks))
        )
        self.body_out = nn.Conv2d(channels, channels, 1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        return self.upsampler(shallow + self.body_out(self.body(shallow)))


SPEC = ArchSpec(
    network=IMDN,
    variants={"imdn": Variant(halo=27)},
    paper=Paper(
        "Lightweight Image Super-Resolution with Information Multi-distillation Network",
        "ACM MM",
        2019,
        "1909.11856",
    ),
    tags=("cnn", "attention", "distillation"),
    reference="Zheng222/IMDN",
    global_statistics=True,
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=IMDNRTC,
        variants={"imdn_rtc": Variant(halo=22, scales=(2,))},
        tags=("cnn", "distillation", "mobile"),
        global_statistics=False,
    ),
)
