"""SAFMN: Spatially-Adaptive Feature Modulation Network.

Paper: Sun et al., ICCV 2023, arXiv:2302.13800. RGB in [0, 1], no mean shift.
"""

from torch import Tensor, nn

from sr_zoo.blocks import SAFM, ConvFFN, LayerNorm2d, PixelShuffleUpsampler, crop, pad_to_minimum
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-6
CELLS = (1, 2, 4, 8)
FFN_EXPANSION = 2


class FeatureMixingModule(nn.Module):
    """SAFM and a convolutional channel mixer, each normalised before and skipped around."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_mixer = LayerNorm2d(channels, NORM_EPS)
        self.mixer = SAFM(channels, CELLS)
        self.norm_ffn = LayerNorm2d(channels, NORM_EPS)
        self.ffn = ConvFFN(channels, FFN_EXPANSION * channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm_mixer(x))
        return x + self.ffn(self.norm_ffn(x))


class SAFMN(SRNetwork):
    """A chain of mixing modules under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 36, num_blocks: int = 8) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(FeatureMixingModule(channels) for _ in range(num_blocks)))
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, max(CELLS)))
        out = self.upsampler(shallow + self.body(shallow))
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=SAFMN,
    variants={"safmn": Variant(halo=130)},
    paper=Paper(
        "Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution",
        "ICCV",
        2023,
        "2302.13800",
    ),
    tags=("cnn", "attention"),
    reference="sunny2109/SAFMN",
    reference_license="Apache-2.0",
    grid=max(CELLS),
)
