"""LDEN: learnable detail enhancement network, the library's reading of a title.

Every block first enhances detail: what a smoothed copy of the features lacks is weighted by a
learned gain per channel, sharpened by learned high-pass filters and added back. Three blueprint
separable convolutions and enhanced spatial attention follow, under a skip. A long skip around all
blocks and one pixel shuffle finish the picture.

```mermaid
flowchart LR
    x[image] --> h[3x3] --> b[8 blocks] --> o[3x3] --> s((sum))
    h --> s --> u[pixel shuffle] --> y[output]
    subgraph block
        f[features] --> d[detail] --> g["gain, high-pass"] --> e((sum))
        f --> e --> c[3 blueprint convolutions] --> a[ESA] --> r((sum))
        f --> r
    end
```

Known by its title alone, "Learnable Detail Enhancement Network" (2025); neither paper nor code was
found. RGB in [0, 1], no mean shift.

Everything in it is a choice, and it claims no published number. The high-pass filter's two strips
see the detail side by side: one after the other they would be blind to straight edges.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    ESA,
    BSConv,
    PixelShuffleUpsampler,
    crop,
    low_frequencies,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

HIGH_PASS_KERNEL = 7
EXPANSION = 2
ESA_CHANNELS = 16


class HighPassStrips(nn.Module):
    """Two depthwise strips, 1 x k and k x 1, side by side; each kernel sums to zero.

    Shape: (N, channels, H, W) to the same.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.padding = kernel_size // 2
        self.horizontal = nn.Parameter(torch.empty(channels, 1, 1, kernel_size))
        self.vertical = nn.Parameter(torch.empty(channels, 1, kernel_size, 1))
        for strip in (self.horizontal, self.vertical):
            nn.init.normal_(strip, std=1 / kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        horizontal, vertical = (
            strip - strip.mean((2, 3), keepdim=True) for strip in (self.horizontal, self.vertical)
        )
        channels = x.shape[1]
        return F.conv2d(x, horizontal, padding=(0, self.padding), groups=channels) + F.conv2d(
            x, vertical, padding=(self.padding, 0), groups=channels
        )


class DetailEnhancement(nn.Module):
    """Adds detail, weighted per channel, and a high-pass of it to the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1))
        self.high_pass = HighPassStrips(channels, HIGH_PASS_KERNEL)

    def forward(self, x: Tensor) -> Tensor:
        detail = x - low_frequencies(x)
        return x + self.gain * detail + self.high_pass(detail)


class DetailBlock(nn.Module):
    """Detail enhancement, three blueprint convolutions, ESA, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.body = nn.Sequential(
            DetailEnhancement(channels),
            BSConv(channels, hidden, 3, padding=1),
            nn.GELU(),
            BSConv(hidden, hidden, 3, padding=1),
            nn.GELU(),
            BSConv(hidden, channels, 3, padding=1),
            ESA(channels, ESA_CHANNELS),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class LDEN(SRNetwork):
    """A chain of detail blocks under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = ESA.WINDOW

    def __init__(self, *, scale: int, channels: int = 48, num_blocks: int = 8) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(DetailBlock(channels) for _ in range(num_blocks)))
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_minimum(x, self.least_side))
        deep = self.body_out(self.body(shallow))
        return crop(self.upsampler(shallow + deep), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=LDEN,
    variants={"lden": Variant(halo=344)},
    paper=Paper("Learnable Detail Enhancement Network", "-", 2025),
    tags=("cnn", "attention", "reading"),
    grid=ESA.STRIDE,  # a multiple of the pooling's 2
)
