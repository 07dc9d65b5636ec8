"""ABPN: anchor-based plain net for phones, a chain of 3x3 convolutions.

All convolutions work at LR size on few channels, with ReLU between them and no skip inside, so that
an integer accelerator runs them without waiting. What they give is added to each pixel's repeats,
the anchors, and one pixel shuffle makes the picture. The paper's network runs in 8-bit integers;
these are the floating-point ones that ETDS's authors compare with and publish weights of: as
designed, and after their equivalent transformation (`abpn_*_et`), which carries the image through
every layer on four channels more, in place of the skip that phones compute slowly.

```mermaid
flowchart LR
  x([image]) --> head["3x3, ReLU"] --> body["4 or 6 times: 3x3, ReLU"] --> tail["3x3, ReLU, 3x3"]
  tail --> add((+)) --> shuffle["pixel shuffle"] --> y([HR image])
  x --> anchors["repeat each pixel"] --> add
```

Paper: Du et al., CVPRW 2021, arXiv:2105.09750; for the transformed form Chao et al., CVPR 2023. RGB
in [0, 1].
"""

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import conv3x3, repeat_channels
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

CARRIED = 4  # channels for the image; its three, rounded up for the sake of speed
ALIGNMENT = 4  # the last width is a multiple of this, for the same reason


class ABPN(SRNetwork):
    """A chain of convolutions, ReLU between them, whose output is added to each pixel's repeats."""

    def __init__(self, *, scale: int, channels: int = 28, num_blocks: int = 4) -> None:
        super().__init__(scale)
        out_channels = 3 * scale**2
        self.body = nn.Sequential(
            conv3x3(3, channels),
            nn.ReLU(),
            *(nn.Sequential(conv3x3(channels, channels), nn.ReLU()) for _ in range(num_blocks)),
            conv3x3(channels, out_channels),
            nn.ReLU(),
            conv3x3(out_channels, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        anchors = repeat_channels(x, self.scale**2)
        return F.pixel_shuffle(self.body(x) + anchors, self.scale)


class TransformedABPN(SRNetwork):
    """A chain of convolutions, each with a ReLU, whose surplus channels are cut off.

    With the released weights the last two layers clip the picture to [0, 1].
    """

    def __init__(self, *, scale: int, channels: int = 28, num_blocks: int = 4) -> None:
        super().__init__(scale)
        width = channels + CARRIED
        pixels = 3 * scale**2
        out_channels = -(-pixels // ALIGNMENT) * ALIGNMENT
        # the image's three channels, and one more where the authors' pixels fill whole multiples
        wide = pixels + (CARRIED if pixels == out_channels else 3)
        self.body = nn.Sequential(
            conv3x3(3, width),
            nn.ReLU(),
            *(nn.Sequential(conv3x3(width, width), nn.ReLU()) for _ in range(num_blocks)),
            conv3x3(width, wide),
            nn.ReLU(),
            conv3x3(wide, out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body(x)[:, : 3 * self.scale**2], self.scale)


SPEC = ArchSpec(
    network=ABPN,
    variants={
        "abpn_m4c28": Variant(halo=7),
        "abpn_m6c40": Variant(halo=9, arguments={"channels": 40, "num_blocks": 6}),
    },
    paper=Paper(
        "Anchor-based Plain Net for Mobile Image Super-Resolution", "CVPRW", 2021, "2105.09750"
    ),
    tags=("cnn", "mobile"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=TransformedABPN,
        variants={f"{name}_et": variant for name, variant in SPEC.variants.items()},
        paper=Paper(
            "Equivalent Transformation and Dual Stream Network Construction for Mobile Image "
            "Super-Resolution",
            "CVPR",
            2023,
        ),
    ),
)
