"""SAFMN++: SAFMN made faster for the NTIRE 2024 efficient SR challenge, and Light SAFMN++.

One coarse view takes the place of SAFMN's four, and only a third of the channels is gated by it;
the others pass. One skip stands around a block, and neither norms nor biases are left. The light
form has two blocks without their skips, half of their channels gated, for real-time 4K of AVIF
images; its authors' weights are trained on AVIF-compressed inputs.

```mermaid
flowchart LR
  x([features]) --> expand["3x3"] -- "1/3" --> view["max pool by 8, depthwise 3x3, resize, GELU"]
  expand -- "1/3" --> mul((*)) --> mix["concatenate, GELU, 1x1"]
  view --> mul
  expand -- "2/3" --> mix --> ffn["3x3, GELU, 1x1"] --> add((+)) --> y([features])
  x --> add
```

Paper: Ren et al., CVPRW 2024, arXiv:2404.10343 (challenge report); for the light form Conde et al.,
CVPRW 2024, arXiv:2404.16484 (AIS 2024 challenge survey). RGB in [0, 1], no mean shift.
"""

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ConvFFN, PixelShuffleUpsampler, SimpleSAFM, crop, pad_to_minimum
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

GATED_SHARE = 3  # one in so many channels is gated
LIGHT_GATED_SHARE = 2


class FeatureMixingModule(nn.Module):
    """The modulation, then a convolutional channel mixer; one skip around both."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mixer = SimpleSAFM(channels, channels // GATED_SHARE)
        self.ffn = ConvFFN(channels, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.ffn(self.mixer(x))


class SAFMNPP(SRNetwork):
    """Predicts what bilinear upscaling misses; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = SimpleSAFM.CELL

    def __init__(
        self, *, scale: int, channels: int = 36, hidden: int = 54, num_blocks: int = 6
    ) -> None:
        super().__init__(scale)
        blocks = [FeatureMixingModule(channels, hidden) for _ in range(num_blocks)]
        self.head = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(*blocks)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = pad_to_minimum(x, self.least_side)
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        out = self.upsampler(self.body(self.head(x))) + base
        return crop(out, self.scale * height, self.scale * width)


class LightMixingModule(nn.Sequential):
    """The modulation, then a convolutional channel mixer, nothing skipped."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(
            SimpleSAFM(channels, channels // LIGHT_GATED_SHARE),
            ConvFFN(channels, hidden, bias=False),
        )


class LightSAFMNPP(SRNetwork):
    """A short chain under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = SimpleSAFM.CELL

    def __init__(
        self, *, scale: int, channels: int = 32, hidden: int = 48, num_blocks: int = 2
    ) -> None:
        super().__init__(scale)
        blocks = [LightMixingModule(channels, hidden) for _ in range(num_blocks)]
        self.head = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(*blocks)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, self.least_side))
        out = self.upsampler(shallow + self.body(shallow))
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=SAFMNPP,
    variants={"safmnpp": Variant(halo=112, scales=(4,))},
    paper=Paper(
        "The Ninth NTIRE 2024 Efficient Super-Resolution Challenge Report",
        "CVPRW",
        2024,
        "2404.10343",
    ),
    tags=("cnn", "attention"),
    reference="sunny2109/SAFMN",
    reference_license="Apache-2.0",
    grid=SimpleSAFM.CELL,
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=LightSAFMNPP,
        variants={"light_safmnpp": Variant(halo=47, scales=(4,))},
        paper=Paper(
            "Real-Time 4K Super-Resolution of Compressed AVIF Images. AIS 2024 Challenge Survey",
            "CVPRW",
            2024,
            "2404.16484",
        ),
    ),
)
