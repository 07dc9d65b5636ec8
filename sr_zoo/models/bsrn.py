"""BSRN: Blueprint Separable Residual Network.

Paper: Li et al., CVPRW 2022, arXiv:2205.05996. RGB in [0, 1], no mean shift.
"""

from torch import Tensor, nn

from sr_zoo.blocks import (
    ESA,
    BSConv,
    CollectingChain,
    ContrastAwareCALayer,
    FeatureDistillation,
    PixelShuffleUpsampler,
    crop,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

INPUT_COPIES = 4  # the first blueprint convolution reads the image that many times over
DISTILLATION = 2  # half of the channels leave after each convolution
ESA_REDUCTION = 4
CCA_REDUCTION = 16


class ESDB(nn.Module):
    """Efficient separable distillation block: distillation, then ESA and CCA, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.distillation = FeatureDistillation(
            channels, channels // DISTILLATION, act=nn.GELU, conv=BSConv
        )
        self.spatial_attention = ESA(channels, channels // ESA_REDUCTION, act=nn.GELU, conv=BSConv)
        self.channel_attention = ContrastAwareCALayer(channels, channels // CCA_REDUCTION)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.channel_attention(self.spatial_attention(self.distillation(x)))


class BSRN(SRNetwork):
    """A chain of ESDBs whose outputs are all fused; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 8) -> None:
        super().__init__(scale)
        self.head = BSConv(INPUT_COPIES * 3, channels, 3, padding=1)
        self.body = CollectingChain(*(ESDB(channels) for _ in range(num_blocks)))
        self.fuse_features = nn.Sequential(nn.Conv2d(num_blocks * channels, channels, 1), nn.GELU())
        self.body_out = BSConv(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, ESA.WINDOW).repeat(1, INPUT_COPIES, 1, 1))
        deep = self.body_out(self.fuse_features(self.body(shallow)))
        return crop(self.upsampler(shallow + deep), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=BSRN,
    variants={"bsrn": Variant(halo=287)},
    paper=Paper(
        "Blueprint Separable Residual Network for Efficient Image Super-Resolution",
        "CVPRW",
        2022,
        "2205.05996",
    ),
    tags=("cnn", "attention", "distillation"),
    reference="xiaom233/BSRN",
    reference_license="MIT",
    grid=ESA.STRIDE,
    global_statistics=True,
)
