"""EDSR: enhanced deep super-resolution network, in its baseline size.

A deep residual network without batch normalisation, which costs memory and fixes the range of the
features. Sixteen residual blocks of two 3x3 convolutions stand under one long skip; pixel shuffles
enlarge at the end. It is the skeleton that most later networks start from, and what their tables
compare with.

```mermaid
flowchart LR
  x([features]) --> a["3x3"] --> relu["ReLU"] --> b["3x3"] --> add((+)) --> y([features])
  x --> add
```

Paper: Lim et al., CVPRW 2017, arXiv:1707.02921. RGB in [0, 1] outside; inside [0, 255],
mean-shifted.
"""

from torch import Tensor, nn

from sr_zoo.blocks import MeanShift, StagedUpsampler, run_stages
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0  # the authors train on [0, 255]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, plus the input; no normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.convs(x)


class EDSR(SRNetwork):
    """Residual blocks under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 16) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(channels) for _ in range(num_blocks)))
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = StagedUpsampler(channels, scale)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x) * PIXEL_MAX)
        deep = self.body_out(self.body(shallow))
        out = run_stages(shallow + deep, self.upsampler, self.tail, scale=self.scale)
        return self.mean_shift.restore(out / PIXEL_MAX)


SPEC = ArchSpec(
    network=EDSR,
    variants={"edsr_baseline": Variant(halo=36)},
    paper=Paper(
        "Enhanced Deep Residual Networks for Single Image Super-Resolution",
        "CVPRW",
        2017,
        "1707.02921",
    ),
    tags=("cnn", "baseline"),
    reference="sanghyun-son/EDSR-PyTorch",
    reference_license="MIT",
)
