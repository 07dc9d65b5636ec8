"""ECBSR on RGB, the deployed form: a plain chain of 3x3 convolutions.

Paper: Zhang et al., ACM MM 2021. RGB in [0, 1].

What `sr_zoo.fuse` makes of `ecbsr_rgb`, tensor names included; the released weights are of this
form.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ConvChain
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class PlainECBSRRGB(SRNetwork):
    """A chain of 3x3 convolutions over the enlarged input."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale)
        widths = (3, *[channels] * (num_blocks + 1), 3 * scale**2)
        self.body = ConvChain(widths, act=nn.PReLU)

    def forward(self, x: Tensor) -> Tensor:
        nearest = x.repeat_interleave(self.scale**2, dim=1)
        return F.pixel_shuffle(self.body(x) + nearest, self.scale)


SPEC = ArchSpec(
    network=PlainECBSRRGB,
    variants={
        "ecbsr_rgb_m4c16_plain": Variant(halo=6),
        "ecbsr_rgb_m4c32_plain": Variant(halo=6, arguments={"channels": 32}),
        "ecbsr_rgb_m6c40_plain": Variant(halo=8, arguments={"channels": 40, "num_blocks": 6}),
    },
    paper=Paper(
        "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices",
        "ACM MM",
        2021,
    ),
    tags=("cnn", "mobile"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
