"""ABPN: anchor-based plain net, a chain of 3x3 convolutions over the enlarged input.

Paper: Du et al., CVPRW 2021, arXiv:2105.09750. RGB in [0, 1].

The paper's network runs in 8-bit integers; this is the floating-point one that ETDS's authors
compare with and publish weights of.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import conv3x3
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


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
        anchors = x.repeat_interleave(self.scale**2, dim=1)
        return F.pixel_shuffle(self.body(x) + anchors, self.scale)


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
