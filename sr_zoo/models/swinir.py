"""SwinIR: image restoration using Swin Transformer, in four forms.

Pixels attend to each other in 8x8 windows, which every second block shifts by half, so that
information crosses their borders. Blocks stand in groups that end in a 3x3 convolution, with a skip
around each group and one around all of them. The lightweight form goes from features to pixels in
one step; the classical one is three times as wide and enlarges in stages. The forms for real
photographs, trained as GANs on what cameras and compression do, repeat pixels and convolve, which
leaves no blocks.

```mermaid
flowchart LR
  x([features]) --> n1["norm"] --> att["attention in 8x8 windows"] --> a1((+))
  x --> a1 --> n2["norm"] --> mlp["MLP"] --> a2((+)) --> y([features])
  a1 --> a2
  bias["learned bias per offset"] --> att
```

Paper: Liang et al., ICCV Workshops 2021, arXiv:2108.10257. RGB in [0, 1], mean-shifted inside.

The authors' test script mirrors images that need no padding by a whole window, edge pixels
repeated; here as in their network's own forward, an image is mirrored only as far as it takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from torch import Tensor, nn

from sr_zoo.blocks import (
    MLP,
    NarrowingUpsampler,
    NearestUpsampler,
    PixelShuffleUpsampler,
    ResidualSwinGroup,
    SwinBlock,
    WindowAttention,
    bottleneck_conv,
    conv3x3,
    shift_mask,
)
from sr_zoo.spec import ArchSpec, Paper, Variant
from sr_zoo.swin_network import SwinNetwork

SIDE = 8  # of windows
WINDOW, SHIFT = (SIDE, SIDE), (SIDE // 2, SIDE // 2)
NARROWING_SLOPE = 0.01  # of the forms for real photographs


class WindowNetwork(SwinNetwork):
    """Groups of window attention, without what makes pixels of features.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        depths: Transformer blocks in each group; every second one shifts its windows by half.
        num_heads: In each block.
        expansion: Of the feed-forward blocks.
        conv: Builds what ends each group, and all of them, from input and output width.
    """

    def __init__(
        self,
        scale: int,
        channels: int,
        depths: Sequence[int],
        num_heads: int,
        expansion: int,
        conv: Callable[[int, int], nn.Module],
    ) -> None:

        def block(index: int) -> SwinBlock:
            attention = WindowAttention(channels, num_heads, window=WINDOW)
            ffn = MLP(channels, expansion * channels)
            shift = SHIFT if index % 2 else (0, 0)
            return SwinBlock(channels, attention, ffn, window=WINDOW, shift=shift)

        groups = (
            ResidualSwinGroup(map(block, range(depth)), conv(channels, channels))
            for depth in depths
        )
        super().__init__(scale, channels, groups, conv, multiple=SIDE)

    def masks(self, x: Tensor) -> list[Tensor]:
        return [shift_mask(x, WINDOW, SHIFT)]


class SwinIRLight(WindowNetwork):
    """The lightweight form; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 60,
        depths: Sequence[int] = (6, 6, 6, 6),
        num_heads: int = 6,
        expansion: int = 2,
    ) -> None:
        super().__init__(scale, channels, depths, num_heads, expansion, conv3x3)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)


class SwinIR(WindowNetwork):
    """The classical form; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    make_upsampler: ClassVar[type[nn.Module]] = NarrowingUpsampler

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 180,
        depths: Sequence[int] = (6,) * 6,
        num_heads: int = 6,
        expansion: int = 2,
        upsampler_channels: int = 64,
    ) -> None:
        super().__init__(scale, channels, depths, num_heads, expansion, conv3x3)
        self.upsampler = self.make_upsampler(channels, upsampler_channels, scale)


class PhotoUpsampler(nn.Sequential):
    """A smaller width, then pixels by repetition; (N, in_channels, H, W) to (N, 3, s*H, s*W)."""

    def __init__(self, in_channels: int, channels: int, scale: int) -> None:
        super().__init__(
            conv3x3(in_channels, channels),
            nn.LeakyReLU(NARROWING_SLOPE),
            NearestUpsampler(channels, scale),
        )


class SwinIRReal(SwinIR):
    """The medium form for real photographs; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    make_upsampler = PhotoUpsampler


class SwinIRRealLarge(WindowNetwork):
    """The large form for real photographs; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 240,
        depths: Sequence[int] = (6,) * 9,
        num_heads: int = 8,
        expansion: int = 2,
        upsampler_channels: int = 64,
    ) -> None:
        super().__init__(scale, channels, depths, num_heads, expansion, bottleneck_conv)
        self.upsampler = PhotoUpsampler(channels, upsampler_channels, scale)


SPEC = ArchSpec(
    network=SwinIRLight,
    variants={"swinir_light": Variant(halo=103)},
    paper=Paper(
        "SwinIR: Image Restoration Using Swin Transformer",
        "ICCV Workshops",
        2021,
        "2108.10257",
    ),
    tags=("transformer",),
    reference="JingyunLiang/SwinIR",
    reference_license="Apache-2.0",
    grid=SIDE,
)
OTHER_FORMS = (
    replace(SPEC, network=SwinIR, variants={"swinir": Variant(halo=153, scales=(2, 3, 4, 8))}),
    replace(SPEC, network=SwinIRReal, variants={"swinir_real": Variant(halo=153, scales=(2, 4))}),
    replace(
        SPEC,
        network=SwinIRRealLarge,
        variants={"swinir_real_large": Variant(halo=227, scales=(4,))},
    ),
)
