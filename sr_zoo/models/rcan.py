"""RCAN: residual channel attention network.

Channel attention gates each channel by its average over the whole image, so that informative ones
count more. Two hundred such blocks stand in groups of twenty, with a skip around each block, each
group and all of them together, which is what makes training at this depth work. It is no efficient
network, but what most of them are compared with.

```mermaid
flowchart LR
  x([features]) --> convs["3x3, ReLU, 3x3"] --> mul((*)) --> add((+)) --> y([features])
  convs --> mean["mean over the image"] --> gate["1x1, ReLU, 1x1, sigmoid"] --> mul
  x --> add
```

Paper: Zhang et al., ECCV 2018, arXiv:1807.02758. RGB in [0, 1] outside; inside [0, 255],
mean-shifted.
"""

from torch import Tensor, nn

from sr_zoo.blocks import CALayer, MeanShift, StagedUpsampler, run_stages
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0  # the authors train on [0, 255]


class RCAB(nn.Module):
    """Residual channel attention block: two 3x3 convolutions, channel-gated, plus the input."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.attention = CALayer(channels, channels // reduction)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.convs(x))


class ResidualGroup(nn.Module):
    """RCABs and a 3x3 convolution, plus the input."""

    def __init__(self, channels: int, num_blocks: int, reduction: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(RCAB(channels, reduction) for _ in range(num_blocks)))
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.blocks(x))


class RCAN(SRNetwork):
    """Residual groups under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        num_groups: int = 10,
        num_blocks: int = 20,
        reduction: int = 16,
    ) -> None:
        super().__init__(scale)
        groups = (ResidualGroup(channels, num_blocks, reduction) for _ in range(num_groups))
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*groups)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = StagedUpsampler(channels, scale)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x) * PIXEL_MAX)
        deep = self.body_out(self.body(shallow))
        out = run_stages(shallow + deep, self.upsampler, self.tail, scale=self.scale)
        return self.mean_shift.restore(out / PIXEL_MAX)


SPEC = ArchSpec(
    network=RCAN,
    variants={"rcan": Variant(halo=414, scales=(2, 3, 4, 8))},
    paper=Paper(
        "Image Super-Resolution Using Very Deep Residual Channel Attention Networks",
        "ECCV",
        2018,
        "1807.02758",
    ),
    tags=("cnn", "attention", "baseline"),
    reference="yulunzhang/RCAN",
    global_statistics=True,
    exact_passes=3,  # 200 averages in a row
)
