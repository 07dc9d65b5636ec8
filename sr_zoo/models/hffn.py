"""HFFN: a high-frequency focused network.

Every block splits its features into low frequencies, which a single 1x1 convolution suffices for,
and high ones, which get two 3x3 convolutions and pixel attention. Blocks are fused in groups: the
outputs of all blocks of a group are mixed, gated by contrast-aware channel attention and added to
the group's input. A long skip and one pixel shuffle finish the picture.

```mermaid
flowchart LR
    x[image] --> h[3x3] --> g[3 fusion groups of 4 blocks] --> o[3x3] --> s((sum))
    h --> s --> u[pixel shuffle] --> y[output]
    subgraph block
        f[features] --> low[low frequencies] --> cheap[1x1] --> a((sum))
        f --> high[high frequencies] --> two["two 3x3, pixel attention"] --> a
        f --> a
    end
```

Paper: Weng et al., 2023, arXiv:2303.11701; no public code. RGB in [0, 1], mean-shifted inside.

This is the library's reading of the abstract, which names the two kinds of block and what they are
for. Widths and depths, the split by pooling, where attention sits and the upsampler are choices;
it claims no published number.
"""

from torch import Tensor, nn

from sr_zoo.blocks import (
    CollectingChain,
    ContrastAwareCALayer,
    MeanShift,
    PixelAttention,
    PixelShuffleUpsampler,
    crop,
    low_frequencies,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

POOLING = 2
LEAKY_SLOPE = 0.05
BLOCKS_PER_GROUP = 4
CCA_REDUCTION = 13  # of 52 channels, 4 stay


class HFFB(nn.Module):
    """High-frequency focused block: low frequencies cheaply, high ones with care."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.low = nn.Conv2d(channels, channels, 1)
        self.high = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(LEAKY_SLOPE),
            PixelAttention(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        smooth = low_frequencies(x, factor=POOLING)
        return x + self.low(smooth) + self.high(x - smooth)


class LFFB(nn.Module):
    """Local feature fusion block: HFFBs in a chain, all fused and gated, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = CollectingChain(*(HFFB(channels) for _ in range(BLOCKS_PER_GROUP)))
        self.project = nn.Conv2d(BLOCKS_PER_GROUP * channels, channels, 1)
        self.attention = ContrastAwareCALayer(channels, channels // CCA_REDUCTION)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.project(self.blocks(x)))


class HFFN(SRNetwork):
    """A chain of LFFBs under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width; at least 13.
        num_groups: LFFBs.
    """

    least_side = POOLING

    def __init__(self, *, scale: int, channels: int = 52, num_groups: int = 3) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(LFFB(channels) for _ in range(num_groups)))
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(self.mean_shift(pad_to_minimum(x, self.least_side)))
        out = self.upsampler(shallow + self.body_out(self.body(shallow)))
        return crop(self.mean_shift.restore(out), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=HFFN,
    variants={"hffn": Variant(halo=51)},
    paper=Paper(
        "A High-Frequency Focused Network for Lightweight Single Image Super-Resolution",
        "-",
        2023,
        "2303.11701",
    ),
    tags=("cnn", "attention", "reading"),
    grid=POOLING,
    global_statistics=True,
)
