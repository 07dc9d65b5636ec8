"""PAN: pixel attention network.

Pixel attention gates every value by a 1x1 convolution of its own pixel: neither a channel's average
nor a spatial map, but a gate for each place and channel at once. In a block it gates one of two
halves, the other is convolved plainly. The upsampler repeats pixels and gates what it convolves
from them in the same way; the image itself, enlarged bilinearly, is added to the output.

```mermaid
flowchart LR
  x([features]) --> plain["1x1, leaky ReLU, 3x3, leaky ReLU"] --> cat["concatenate, 1x1"]
  x --> enter["1x1, leaky ReLU"] --> values["3x3"] --> mul((*)) --> leave["3x3, leaky ReLU"] --> cat
  enter --> gate["1x1, sigmoid"] --> mul
  cat --> add((+)) --> y([features])
  x --> add
```

Paper: Zhao et al., ECCVW 2020, arXiv:2010.01073. RGB in [0, 1], no mean shift.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import PixelAttention
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.2


class GatedConv(nn.Module):
    """A 3x3 convolution gated by what a 1x1 sees of its input, then another 3x3 (PA-Conv)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)
        self.values = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.project = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.values(x) * torch.sigmoid(self.gate(x)))


class SCPA(nn.Module):
    """Self-calibrated block with pixel attention: a plain and a gated half, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.plain = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.LeakyReLU(LEAKY_SLOPE),
        )
        self.gated = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False),
            nn.LeakyReLU(LEAKY_SLOPE),
            GatedConv(half),
            nn.LeakyReLU(LEAKY_SLOPE),
        )
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(torch.cat([self.plain(x), self.gated(x)], dim=1))


class NearestStage(nn.Sequential):
    """Repeats pixels, then convolves and gates them (U-PA)."""

    def __init__(self, in_channels: int, channels: int, factor: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=factor, mode="nearest"),
            nn.Conv2d(in_channels, channels, 3, padding=1),
            PixelAttention(channels),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(LEAKY_SLOPE),
        )


class PAN(SRNetwork):
    """A chain of SCPAs and one or two nearest-neighbour stages.

    Shape: (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor; 4 takes two stages of 2, other scales one.
        channels: Feature width.
        up_channels: Width while enlarging.
        num_blocks: SCPAs in the chain.
    """

    def __init__(
        self, *, scale: int, channels: int = 40, up_channels: int = 24, num_blocks: int = 16
    ) -> None:
        super().__init__(scale)
        factors = (2, 2) if scale == 4 else (scale,)
        widths = (channels, *(up_channels for _ in factors))
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(SCPA(channels) for _ in range(num_blocks)))
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = nn.Sequential(
            *(
                NearestStage(width, up_channels, factor)
                for width, factor in zip(widths[:-1], factors, strict=True)
            )
        )
        self.tail = nn.Conv2d(up_channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        deep = self.tail(self.upsampler(shallow + self.body_out(self.body(shallow))))
        return deep + F.interpolate(x, scale_factor=self.scale, mode="bilinear")


SPEC = ArchSpec(
    network=PAN,
    variants={"pan": Variant(halo=36)},
    paper=Paper(
        "Efficient Image Super-Resolution Using Pixel Attention", "ECCVW", 2020, "2010.01073"
    ),
    tags=("cnn", "attention"),
    reference="zhaohengyuan1/PAN",
)
