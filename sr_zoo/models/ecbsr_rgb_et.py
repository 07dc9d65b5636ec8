"""ECBSR on RGB after ETDS's equivalent transformation: the skip is carried inside the chain.

Paper: Chao et al., CVPR 2023. RGB in [0, 1].

Four more channels carry the image through every layer in place of the skip, which phones compute
slowly; with the released weights the last two layers clip the picture to [0, 1].
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import conv3x3
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

CARRIED = 4  # channels for the image; its three, rounded up for the sake of speed
ALIGNMENT = 4  # widths are multiples of this, for the same reason


class TransformedECBSR(SRNetwork):
    """A chain of activated convolutions whose last width is rounded up and cut back."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale)
        widths = (3, *[channels + CARRIED] * (num_blocks + 1))
        out_channels = -(-3 * scale**2 // ALIGNMENT) * ALIGNMENT
        self.body = nn.Sequential(
            *(nn.Sequential(conv3x3(a, b), nn.PReLU(b)) for a, b in pairwise(widths)),
            nn.Sequential(conv3x3(widths[-1], out_channels), nn.ReLU()),
            nn.Sequential(nn.Conv2d(out_channels, out_channels, 1), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body(x)[:, : 3 * self.scale**2], self.scale)


SPEC = ArchSpec(
    network=TransformedECBSR,
    variants={
        "ecbsr_rgb_m4c16_et": Variant(halo=6),
        "ecbsr_rgb_m4c32_et": Variant(halo=6, arguments={"channels": 32}),
        "ecbsr_rgb_m6c40_et": Variant(halo=8, arguments={"channels": 40, "num_blocks": 6}),
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
