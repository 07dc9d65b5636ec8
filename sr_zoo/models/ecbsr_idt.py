"""ECBSR on luminance whose convolutions also add their input before they are fused.

Paper: Zhang et al., ACM MM 2021. Luminance in [0, 255] inside.

An option of the authors' code that their published networks (`ecbsr`) leave off.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ConvChain, IdentityEdgeOrientedConv
from sr_zoo.network import LuminanceNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0  # the authors train on [0, 255]


class IdentityECBSR(LuminanceNetwork):
    """A chain of residual edge-oriented convolutions over the enlarged input."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale)
        widths = (1, *[channels] * (num_blocks + 1), scale**2)
        self.body = ConvChain(widths, act=nn.PReLU, conv=IdentityEdgeOrientedConv)

    def enlarge(self, luminance: Tensor) -> Tensor:
        luminance = luminance * PIXEL_MAX
        return F.pixel_shuffle(self.body(luminance) + luminance, self.scale) / PIXEL_MAX


SPEC = ArchSpec(
    network=IdentityECBSR,
    variants={
        "ecbsr_m4c16_idt": Variant(halo=6, scales=(2,)),
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
