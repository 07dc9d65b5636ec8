"""SMFANet: self-modulation feature aggregation network.

Half of the features is gated by a max-pooled view of its surroundings and by the variance of each
channel over the image, an approximation of self-attention at little cost. The other half goes
through small convolutions that keep the local detail which pooling loses. In the feed-forward block
a quarter of the hidden channels sees its neighbours.

```mermaid
flowchart LR
  x([features]) --> split["normalise, 1x1, split"] --> mul((*)) --> s((+)) --> p["1x1"] --> a1((+))
  split --> view["max pool by 8, depthwise 3x3"] --> gate["sum, 1x1, GELU, resize"] --> mul
  split --> var["variance over the image"] --> gate
  split --> local["depthwise 3x3, 1x1, GELU, 1x1"] --> s
  x --> a1 --> ffn["normalise, 1x1, GELU, 3x3 on a quarter, GELU, 1x1"] --> a2((+))
  a1 --> a2 --> y([features])
```

Paper: Zheng et al., ECCV 2024. RGB in [0, 1], no mean shift.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    PixelShuffleUpsampler,
    crop,
    global_size,
    global_variance,
    max_pool_to_cells,
    pad_to_minimum,
    spread_cells,
    unit_length,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

CELL = 8  # pixels, along each axis, that one cell of the non-local view sees
EXPANSION = 2
LOCAL_SHARE = 4  # one in so many hidden channels of the feed-forward part sees its neighbours


class SelfModulation(nn.Module):
    """Gates each pixel by a pooled view of its surroundings and the whole image's variance (EASA).

    What a channel's variance over the image weighs against the pooled view is learned.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.view = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.view_weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.variance_weight = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        view = self.view(max_pool_to_cells(x, CELL)) * self.view_weight
        height, width = global_size(x)
        unbiased = global_variance(x) * (height * width / (height * width - 1))
        gate = F.gelu(self.gate(view + unbiased * self.variance_weight))
        return x * spread_cells(gate, (x.shape[-2], x.shape[-1]), CELL)


class LocalDetail(nn.Sequential):
    """Depthwise 3x3 that doubles the channels, then two 1x1, for what pooling loses (LDE)."""

    def __init__(self, channels: int) -> None:
        hidden = EXPANSION * channels
        super().__init__(
            nn.Conv2d(channels, hidden, 3, padding=1, groups=channels),
            nn.Conv2d(hidden, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )


class SMFA(nn.Module):
    """Self-modulation feature aggregation: non-local and local features, each from its own half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.local = LocalDetail(channels)
        self.modulation = SelfModulation(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        local, non_local = self.expand(x).chunk(2, dim=1)
        return self.project(self.modulation(non_local) + self.local(local))


class PCFN(nn.Module):
    """Partial-convolution feed-forward network: a part of the hidden channels sees neighbours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.seeing = hidden // LOCAL_SHARE
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.local = nn.Conv2d(self.seeing, self.seeing, 3, padding=1)
        self.project = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        seeing, passing = F.gelu(self.expand(x)).tensor_split([self.seeing], dim=1)
        return self.project(torch.cat([F.gelu(self.local(seeing)), passing], dim=1))


class FeatureModulationBlock(nn.Module):
    """SMFA and PCFN, each skipped around, each on pixels normalised to unit length."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.aggregation = SMFA(channels)
        self.ffn = PCFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.aggregation(unit_length(x, 1))
        return x + self.ffn(unit_length(x, 1))


class SMFANet(SRNetwork):
    """A chain of blocks under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = CELL

    def __init__(self, *, scale: int, channels: int = 36, num_blocks: int = 8) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(FeatureModulationBlock(channels) for _ in range(num_blocks)))
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, self.least_side))
        out = self.upsampler(shallow + self.body(shallow))
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=SMFANet,
    variants={
        "smfanet": Variant(halo=137),
        "smfanet_plus": Variant(halo=201, arguments={"channels": 48, "num_blocks": 12}),
    },
    paper=Paper(
        "SMFANet: A Lightweight Self-Modulation Feature Aggregation Network for Efficient Image "
        "Super-Resolution",
        "ECCV",
        2024,
    ),
    tags=("cnn", "attention"),
    reference="Zheng-MJ/SMFANet",
    reference_license="Apache-2.0",
    grid=CELL,
    global_statistics=True,
)
