"""ABPN after ETDS's equivalent transformation: the skip is carried inside the chain.

Paper: Chao et al., CVPR 2023. RGB in [0, 1].

Four more channels carry the image through every layer in place of the skip, which phones compute
slowly; with the released weights the last two layers clip the picture to [0, 1].
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import conv3x3
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

CARRIED = 4  # channels for the image; its three, rounded up for the sake of speed
ALIGNMENT = 4  # the last width is a multiple of this, for the same reason


class TransformedABPN(SRNetwork):
    """A chain of convolutions, each with a ReLU, whose surplus channels are cut off."""

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
    network=TransformedABPN,
    variants={
        "abpn_m4c28_et": Variant(halo=7),
        "abpn_m6c40_et": Variant(halo=9, arguments={"channels": 40, "num_blocks": 6}),
    },
    paper=Paper(
        "Equivalent Transformation and Dual Stream Network Construction for Mobile Image "
        "Super-Resolution",
        "CVPR",
        2023,
    ),
    tags=("cnn", "mobile"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
