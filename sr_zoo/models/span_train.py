"""SPAN: Swift Parameter-free Attention Network, the form that is trained.

Paper: Wan et al., CVPRW 2024, arXiv:2311.12770. RGB in [0, 1] outside; mean-shifted and in
[0, 255] units inside up to the last convolution, which answers in [0, 1] by itself.

Each 3x3 convolution is three in a row beside a 1x1; `sr_zoo.fuse` turns the network into `span`.
"""

from torch import Tensor, nn

from sr_zoo.blocks import MeanShift, PixelShuffleUpsampler, SPANTrunk
from sr_zoo.blocks.reparam import ParallelConvs
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0
EXPANSION = 2


def expanded_conv(in_channels: int, out_channels: int) -> ParallelConvs:
    """Return a 3x3 convolution between two 1x1 at a larger width, and a 1x1 beside them."""
    hidden_in, hidden_out = EXPANSION * in_channels, EXPANSION * out_channels
    deep = nn.Sequential(
        nn.Conv2d(in_channels, hidden_in, 1, padding=1),
        nn.Conv2d(hidden_in, hidden_out, 3),
        nn.Conv2d(hidden_out, out_channels, 1),
    )
    return ParallelConvs(
        in_channels, {"deep": deep, "skip": nn.Conv2d(in_channels, out_channels, 1)}
    )


class SPANTrain(SRNetwork):
    """Branching convolutions in gated blocks; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 28, num_blocks: int = 6) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.trunk = SPANTrunk(channels, num_blocks, conv=expanded_conv)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampler(self.trunk(self.mean_shift(x) * PIXEL_MAX))


SPEC = ArchSpec(
    network=SPANTrain,
    variants={
        "span_ch28_train": Variant(halo=21, scales=(4,)),
        "span_tiny_ch26_train": Variant(halo=21, scales=(4,), arguments={"channels": 26}),
    },
    paper=Paper(
        "Swift Parameter-free Attention Network for Efficient Super-Resolution",
        "CVPRW",
        2024,
        "2311.12770",
    ),
    tags=("cnn", "attention", "reparameterisable"),
    reference="Amazingren/NTIRE2024_ESR",
    reference_license="MIT",
)
