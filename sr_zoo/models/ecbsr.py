"""ECBSR on luminance, the form that is trained: each convolution has edge filters beside it.

Paper: Zhang et al., ACM MM 2021. Luminance in [0, 255] inside.

`sr_zoo.fuse` turns it into `ecbsr_plain`.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ConvChain, EdgeOrientedConv
from sr_zoo.network import LuminanceNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0  # the authors train on [0, 255]


class ECBSR(LuminanceNetwork):
    """A chain of edge-oriented convolutions over the enlarged input."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale)
        widths = (1, *[channels] * (num_blocks + 1), scale**2)
        self.body = ConvChain(widths, act=nn.PReLU, conv=EdgeOrientedConv)

    def enlarge(self, luminance: Tensor) -> Tensor:
        luminance = luminance * PIXEL_MAX
        return F.pixel_shuffle(self.body(luminance) + luminance, self.scale) / PIXEL_MAX


SPEC = ArchSpec(
    network=ECBSR,
    variants={
        "ecbsr_m4c16": Variant(halo=6, scales=(2, 4)),
        "ecbsr_m4c32": Variant(halo=6, scales=(2, 4), arguments={"channels": 32}),
        "ecbsr_m10c32": Variant(
            halo=12, scales=(2, 4), arguments={"channels": 32, "num_blocks": 10}
        ),
    },
    paper=Paper(
        "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices",
        "ACM MM",
        2021,
    ),
    tags=("cnn", "mobile", "luminance", "reparameterisable"),
    reference="xindongzhang/ECBSR",
    reference_license="Apache-2.0",
)
