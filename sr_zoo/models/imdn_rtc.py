"""IMDN_RTC: the small network that IMDN's authors entered in the AI in RTC challenge of 2019.

Paper: Hui et al., ACM MM 2019, arXiv:1909.11856; this network is in their repository only. RGB in
[0, 1], no mean shift.
"""

from functools import partial

from torch import Tensor, nn

from sr_zoo.blocks import InformationMultiDistillation, PixelShuffleUpsampler
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.05
DISTILLATION = 4  # a quarter of the channels leaves after each convolution


class IMDNRTC(SRNetwork):
    """IMDN's blocks without their attention, in a plain chain under one long skip.

    Shape: (N, 3, H, W) to (N, 3, scale*H, scale*W).
    """

    def __init__(self, *, scale: int, channels: int = 12, num_blocks: int = 5) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(
                InformationMultiDistillation(
                    channels,
                    channels // DISTILLATION,
                    act=partial(nn.LeakyReLU, LEAKY_SLOPE),
                    attention=nn.Identity(),
                )
                for _ in range(num_blocks)
            )
        )
        self.body_out = nn.Conv2d(channels, channels, 1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        return self.upsampler(shallow + self.body_out(self.body(shallow)))


SPEC = ArchSpec(
    network=IMDNRTC,
    variants={"imdn_rtc": Variant(halo=22, scales=(2,))},
    paper=Paper(
        "Lightweight Image Super-Resolution with Information Multi-distillation Network",
        "ACM MM",
        2019,
        "1909.11856",
    ),
    tags=("cnn", "distillation", "mobile"),
    reference="Zheng222/IMDN",
)
