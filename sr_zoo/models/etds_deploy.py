"""ETDS, the deployed form: one chain of convolutions, clipped to [0, 1] by its last layers.

Paper: Chao et al., CVPR 2023 (equivalent transformation and dual stream). RGB in [0, 1].

The released weights are of this form. They negate in the last two layers, so that two ReLUs clip
from both sides; `etds` fuses into the same chain without them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import conv3x3
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

ALIGNMENT = 4  # the last width is rounded up to a multiple of this, for the sake of speed


class DeployedETDS(SRNetwork):
    """A chain of convolutions, each with a ReLU, whose surplus channels are cut off."""

    def __init__(self, *, scale: int, channels: int = 32, num_blocks: int = 4) -> None:
        super().__init__(scale)
        out_channels = -(-3 * scale**2 // ALIGNMENT) * ALIGNMENT
        self.head = conv3x3(3, channels)
        self.body = nn.ModuleList(conv3x3(channels, channels) for _ in range(num_blocks))
        self.tail = conv3x3(channels, out_channels)
        self.clip = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.head, *self.body, self.tail, self.clip):
            x = torch.relu(conv(x))
        return F.pixel_shuffle(x[:, : 3 * self.scale**2], self.scale)


SPEC = ArchSpec(
    network=DeployedETDS,
    variants={
        "etds_m4c32_deploy": Variant(halo=6),
        "etds_m5c16_deploy": Variant(halo=7, arguments={"channels": 16, "num_blocks": 5}),
        "etds_m6c32_deploy": Variant(halo=8, arguments={"num_blocks": 6}),
        "etds_m7c48_deploy": Variant(halo=9, arguments={"channels": 48, "num_blocks": 7}),
    },
    paper=Paper(
        "Equivalent Transformation and Dual Stream Network Construction for Mobile Image "
        "Super-Resolution",
        "CVPR",
        2023,
    ),
    tags=("cnn", "mobile"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
