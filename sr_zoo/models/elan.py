"""ELAN: efficient long-range attention network.

Shift convolutions, 1x1 convolutions of channels that are moved by a pixel, gather local features.
Group-wise multi-scale self-attention (GMSA) lets three groups of channels attend in windows of 4, 8
and 16 pixels, the queries being the keys too. ELAN-light, drawn here, uses each attention map a
second time, so that only values have to be computed.

```mermaid
flowchart LR
  x([features]) --> l1["shift conv, ReLU, shift conv"] --> a1((+))
  x --> a1 --> gmsa["attention in 4x4, 8x8, 16x16 windows"] --> a2((+))
  a1 --> a2 --> l2["shift conv, ReLU, shift conv"] --> a3((+))
  a2 --> a3 --> shared["the same maps, new values"] --> a4((+)) --> y([features])
  gmsa -- maps --> shared
  a3 --> a4
```

Paper: Zhang et al., ECCV 2022, arXiv:2203.06697. RGB in [0, 1] outside, [0, 255] and mean-shifted
inside.
"""

from collections.abc import Sequence
from math import lcm

from torch import Tensor, nn

from sr_zoo.blocks import (
    DIV2K_MEAN,
    GMSA,
    MeanShift,
    PixelShuffleUpsampler,
    SharedGMSA,
    crop,
    in_strips,
    pad_to_multiple,
    shift_channels,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0
WINDOWS = (4, 8, 16)
MULTIPLE = lcm(*WINDOWS)
OFFSETS = ((0, 1), (0, -1), (1, 0), (-1, 0), (0, 0))


class ShiftConv(nn.Module):
    """A 1x1 convolution of channels that read their neighbours (section 3.1)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(shift_channels(x, OFFSETS))


class LocalFeatures(nn.Sequential):
    """Local feature extraction (LFE): two shift convolutions around a ReLU, and a skip.

    Its input may be overwritten.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(
            ShiftConv(channels, hidden), nn.ReLU(inplace=True), ShiftConv(hidden, channels)
        )
        self.inflation = hidden // channels

    def forward(self, x: Tensor) -> Tensor:
        return in_strips(self._added, x, reach=2, inflation=self.inflation, into=x)

    def _added(self, x: Tensor) -> Tensor:
        local: Tensor = nn.Sequential.forward(self, x)  # type: ignore[no-untyped-call]
        return local.add_(x)


class ELAB(nn.Module):
    """Efficient long-range attention block: local features and attention, in turn.

    The first attention computes its maps, `num_shared` further ones use them again. The input may
    be overwritten.
    """

    def __init__(
        self, channels: int, hidden: int, num_shared: int, windows: Sequence[int], *, shifted: bool
    ) -> None:
        super().__init__()
        self.local = nn.ModuleList(LocalFeatures(channels, hidden) for _ in range(1 + num_shared))
        self.attention = GMSA(channels, windows, shifted=shifted)
        self.shared = nn.ModuleList(
            SharedGMSA(channels, windows, shifted=shifted) for _ in range(num_shared)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.local[0](x)
        if not self.shared:  # no one asks for the maps, so they need not exist
            return self.attention(x).add_(x)
        attended, maps = self.attention.with_maps(x)
        x = attended.add_(x)
        for local, attention in zip(self.local[1:], self.shared, strict=True):
            x = local(x)
            x = attention(x, maps).add_(x)
        return x


class ELAN(SRNetwork):
    """A chain of ELABs under one skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width; a multiple of 3.
        num_blocks: ELABs; every second one shifts its windows by half.
        num_shared: How often an ELAB uses its attention maps again.
        expansion: Of the local feature extraction.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 180,
        num_blocks: int = 36,
        num_shared: int = 0,
        expansion: int = 2,
    ) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift([PIXEL_MAX * mean for mean in DIV2K_MEAN])
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(
                ELAB(channels, expansion * channels, num_shared, WINDOWS, shifted=index % 2 == 1)
                for index in range(num_blocks)
            )
        )
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(self.mean_shift(pad_to_multiple(x, MULTIPLE) * PIXEL_MAX))
        deep = self.body(shallow.clone()).add_(shallow)
        out = self.mean_shift.restore(self.upsampler(deep)) / PIXEL_MAX
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=ELAN,
    variants={
        "elan": Variant(halo=299),
        "elan_light": Variant(
            halo=299, arguments={"channels": 60, "num_blocks": 12, "num_shared": 1}
        ),
    },
    paper=Paper(
        "Efficient Long-Range Attention Network for Image Super-resolution",
        "ECCV",
        2022,
        "2203.06697",
    ),
    tags=("transformer",),
    reference="xindongzhang/ELAN",
    reference_license="Apache-2.0",
    grid=MULTIPLE,
    wraps=True,
)
