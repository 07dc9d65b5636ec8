"""SPAN: Swift Parameter-free Attention Network, as entered to the NTIRE 2024 challenge.

Paper: Wan et al., CVPRW 2024, arXiv:2311.12770. RGB in [0, 1] outside; mean-shifted and in
[0, 255] units inside up to the last convolution, which answers in [0, 1] by itself.

The challenge's networks are deployed ones: each of their 3x3 convolutions was trained as several.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import MeanShift, PixelShuffleUpsampler, conv3x3
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0
FUSED_FEATURES = 4


class SPAB(nn.Module):
    """Swift parameter-free attention block: the last features also gate themselves.

    Returns the block's output and its first activated features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv3x3(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second, third = self.convs
        early = F.silu(first(x))
        features = third(F.silu(second(early)))
        return (features + x) * (torch.sigmoid(features) - 0.5), early


class SPAN(SRNetwork):
    """Blocks in a chain, early and late features fused; (N, 3, H, W) to scale times that."""

    def __init__(self, *, scale: int, channels: int = 28, num_blocks: int = 6) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.head = conv3x3(3, channels)
        self.body = nn.ModuleList(SPAB(channels) for _ in range(num_blocks))
        self.body_out = conv3x3(channels, channels)
        self.fuse_features = nn.Conv2d(FUSED_FEATURES * channels, channels, 1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x) * PIXEL_MAX)
        outputs = []
        current = early = shallow
        for block in self.body:
            current, early = block(current)
            outputs.append(current)
        # `early` is what the last block's first convolution gave
        features = [shallow, self.body_out(current), outputs[0], early]
        return self.upsampler(self.fuse_features(torch.cat(features, dim=1)))


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
