"""ECBSR on RGB, the form that is trained: each convolution has edge filters beside it.

Paper: Zhang et al., ACM MM 2021. RGB in [0, 1].

The paper's network (`ecbsr`) works on luminance; this is the one that ETDS's authors compare with
and publish weights of. `sr_zoo.fuse` turns it into `ecbsr_rgb_plain`.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ConvChain, EdgeOrientedConv
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class ECBSRRGB(SRNetwork):
    """A chain of edge-oriented convolutions over the enlarged input."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale)
        widths = (3, *[channels] * (num_blocks + 1), 3 * scale**2)
        self.body = ConvChain(widths, act=nn.PReLU, conv=EdgeOrientedConv)

    def forward(self, x: Tensor) -> Tensor:
        nearest = x.repeat_interleave(self.scale**2, dim=1)
        return F.pixel_shuffle(self.body(x) + nearest, self.scale)


SPEC = ArchSpec(
    network=ECBSRRGB,
    variants={
        "ecbsr_rgb_m4c16": Variant(halo=6),
        "ecbsr_rgb_m4c32": Variant(halo=6, arguments={"channels": 32}),
        "ecbsr_rgb_m6c40": Variant(halo=8, arguments={"channels": 40, "num_blocks": 6}),
    },
    paper=Paper(
        "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices",
        "ACM MM",
        2021,
    ),
    tags=("cnn", "mobile", "reparameterisable"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
