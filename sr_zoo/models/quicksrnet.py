"""QuickSRNet: a plain chain of clipped convolutions for phones, small and medium.

Paper: Berger et al., CVPRW 2023, arXiv:2303.04336. RGB in [0, 1]; the network itself clips its
output to that. The large network is `quicksrnet_large`.
"""

from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks import ClippedConvs, add_identity, conv3x3
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class QuickSRNet(SRNetwork):
    """3x3 convolutions, then a shuffle; (N, 3, H, W) to (N, 3, scale*H, scale*W) in [0, 1].

    There are no skips: before training each convolution hands its input on, so that the network
    starts near nearest-neighbour upscaling.
    """

    def __init__(self, *, scale: int, channels: int = 32, num_layers: int = 2) -> None:
        super().__init__(scale)
        self.body = ClippedConvs(3, channels, num_layers + 1)
        self.tail = add_identity(conv3x3(channels, 3 * scale**2), scale**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.tail(self.body(x)).clamp(0, 1), self.scale)


SPEC = ArchSpec(
    network=QuickSRNet,
    variants={
        "quicksrnet_small": Variant(halo=4),
        "quicksrnet_medium": Variant(halo=7, arguments={"num_layers": 5}),
    },
    paper=Paper(
        "QuickSRNet: Plain Single-Image Super-Resolution Architecture for Faster Inference on "
        "Mobile Platforms",
        "CVPRW",
        2023,
        "2303.04336",
    ),
    tags=("cnn", "mobile"),
    reference="quic/aimet-model-zoo",
    reference_license="BSD-3-Clause",
)
