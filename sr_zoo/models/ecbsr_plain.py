"""ECBSR on luminance, the deployed form: a plain chain of 3x3 convolutions.

Paper: Zhang et al., ACM MM 2021. Luminance in [0, 255] inside.

What `sr_zoo.fuse` makes of `ecbsr`, tensor names included.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ConvChain
from sr_zoo.network import LuminanceNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0  # the authors train on [0, 255]


class PlainECBSR(LuminanceNetwork):
    """A chain of 3x3 convolutions over the enlarged input."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale)
        widths = (1, *[channels] * (num_blocks + 1), scale**2)
        self.body = ConvChain(widths, act=nn.PReLU)

    def enlarge(self, luminance: Tensor) -> Tensor:
        luminance = luminance * PIXEL_MAX
        return F.pixel_shuffle(self.body(luminance) + luminance, self.scale) / PIXEL_MAX


SPEC = ArchSpec(
    network=PlainECBSR,
    variants={
        "ecbsr_m4c16_plain": Variant(halo=6, scales=(2, 4)),
        "ecbsr_m4c32_plain": Variant(halo=6, scales=(2, 4), arguments={"channels": 32}),
        "ecbsr_m10c32_plain": Variant(
            halo=12, scales=(2, 4), arguments={"channels": 32, "num_blocks": 10}
        ),
    },
    paper=Paper(
        "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices",
        "ACM MM",
        2021,
    ),
    tags=("cnn", "mobile", "luminance"),
    reference="xindongzhang/ECBSR",
    reference_license="Apache-2.0",
)
