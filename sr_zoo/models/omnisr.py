"""Omni-SR: omni aggregation networks for lightweight image super-resolution.

Omni self-attention lets pixels attend to pixels and then channels to channels, in the same group. A
group of layers does so at three scales: a convolutional block sees near, windows see farther, and a
grid of pixels that are spread evenly sees the whole picture. Enhanced spatial attention (ESA) gates
what comes out.

```mermaid
flowchart LR
  x([features]) --> local["1x1, depthwise 3x3, channel gate, 1x1, add input"]
  local --> meso["windows: pixel attention, FFN, channel attention, FFN"]
  meso --> grid["grid: pixel attention, FFN, channel attention, FFN"] --> conv["1x1"]
  conv --> add((+)) --> esa["ESA"] --> y([features])
  x --> add
```

Paper: Wang et al., CVPR 2023, arXiv:2304.10244. RGB in [0, 1] outside, [-1, 1] inside, as the
authors' training and test scripts feed it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    ESA,
    OSA,
    GridOSA,
    PixelShuffleUpsampler,
    crop,
    global_mean,
    next_multiple,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

WINDOW = 8
NUM_HEADS = 4
REDUCTION = 4  # of both gates
MINIMUM = next_multiple(ESA.WINDOW, WINDOW)


class ChannelGate(nn.Module):
    """Squeeze and excitation without biases: gates each channel by the picture's averages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // REDUCTION, bias=False)
        self.expand = nn.Linear(channels // REDUCTION, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(F.silu(self.squeeze(global_mean(x).flatten(1))))
        return x * torch.sigmoid(gate)[..., None, None]


class LocalConvBlock(nn.Module):
    """Local convolution block (LCB): an inverted residual without expansion (section 3.3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.GELU(),
            ChannelGate(channels),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class OSAG(nn.Module):
    """Omni-scale aggregation group: local, meso and global aggregation, then a spatial gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            LocalConvBlock(channels),
            OSA(channels, NUM_HEADS, window=WINDOW),
            GridOSA(channels, NUM_HEADS, window=WINDOW),
            nn.Conv2d(channels, channels, 1),
        )
        self.attention = ESA(channels, channels // REDUCTION, num_convs=1, multiple=WINDOW)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x + self.body(x))


class OmniSR(SRNetwork):
    """A chain of OSAGs under one skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width; a multiple of 4.
        num_groups: OSAGs.
    """

    def __init__(self, *, scale: int, channels: int = 64, num_groups: int = 5) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(OSAG(channels) for _ in range(num_groups)))
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        below, right = (
            next_multiple(max(side, MINIMUM), WINDOW) - side for side in (height, width)
        )
        shallow = self.head(F.pad(x * 2 - 1, (0, right, 0, below)))  # mid-grey
        out = self.upsampler(shallow + self.body_out(self.body(shallow)))
        return crop((out + 1) / 2, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=OmniSR,
    variants={"omnisr": Variant(halo=209)},  # but for the grid, which has no bounds
    paper=Paper(
        "Omni Aggregation Networks for Lightweight Image Super-Resolution",
        "CVPR",
        2023,
        "2304.10244",
    ),
    tags=("transformer", "attention"),
    reference="Francis0625/Omni-SR",
    reference_license="Apache-2.0",
    grid=24,  # windows of 8 pixels, and ESA's stride of 6
    global_statistics=True,
    global_attention=True,
)
