"""IMDN: Information Multi-Distillation Network.

Paper: Hui et al., ACM MM 2019, arXiv:1909.11856. RGB in [0, 1], no mean shift.
"""

from functools import partial

from torch import Tensor, nn

from sr_zoo.blocks import (
    CollectingChain,
    ContrastAwareCALayer,
    InformationMultiDistillation,
    PixelShuffleUpsampler,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.05
DISTILLATION = 4  # a quarter of the channels leaves after each convolution
CCA_REDUCTION = 16


class IMDN(SRNetwork):
    """Distillation blocks whose outputs are all fused; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 6) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = CollectingChain(
            *(
                InformationMultiDistillation(
                    channels,
                    channels // DISTILLATION,
                    act=partial(nn.LeakyReLU, LEAKY_SLOPE),
                    attention=ContrastAwareCALayer(channels, channels // CCA_REDUCTION),
                )
                for _ in range(num_blocks)
            )
        )
        self.fuse_features = nn.Sequential(
            nn.Conv2d(num_blocks * channels, channels, 1), nn.LeakyReLU(LEAKY_SLOPE)
        )
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        deep = self.body_out(self.fuse_features(self.body(shallow)))
        return self.upsampler(shallow + deep)


SPEC = ArchSpec(
    network=IMDN,
    variants={"imdn": Variant(halo=27)},
    paper=Paper(
        "Lightweight Image Super-Resolution with Information Multi-distillation Network",
        "ACM MM",
        2019,
        "1909.11856",
    ),
    tags=("cnn", "attention", "distillation"),
    reference="Zheng222/IMDN",
    global_statistics=True,
)
