"""SPAN: Swift Parameter-free Attention Network, the deployed form of the NTIRE 2024 challenge.

Paper: Wan et al., CVPRW 2024, arXiv:2311.12770. RGB in [0, 1] outside; mean-shifted and in
[0, 255] units inside up to the last convolution, which answers in [0, 1] by itself.

What `sr_zoo.fuse` makes of `span_train`, tensor names included; the released weights are of this
form.
"""

from torch import Tensor

from sr_zoo.blocks import MeanShift, PixelShuffleUpsampler, SPANTrunk
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0


class SPAN(SRNetwork):
    """Plain 3x3 convolutions in gated blocks; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 28, num_blocks: int = 6) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.trunk = SPANTrunk(channels, num_blocks)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampler(self.trunk(self.mean_shift(x) * PIXEL_MAX))


SPEC = ArchSpec(
    network=SPAN,
    variants={
        "span_ch28": Variant(halo=21, scales=(4,)),
        "span_tiny_ch26": Variant(halo=21, scales=(4,), arguments={"channels": 26}),
    },
    paper=Paper(
        "Swift Parameter-free Attention Network for Efficient Super-Resolution",
        "CVPRW",
        2024,
        "2311.12770",
    ),
    tags=("cnn", "attention"),
    reference="Amazingren/NTIRE2024_ESR",
    reference_license="MIT",
)
