"""ECBSR: a chain of edge-oriented convolutions that fuses into plain ones, for phones.

Each 3x3 convolution trains with a wider one squeezed through 1x1 and with Sobel and Laplacian
filters beside it, all added up. As everything in such a block is linear, `sr_zoo.fuse` turns it
into one 3x3 convolution, tensor names of the plain form included. The chain works at LR size, its
output is added to each pixel's value, and one pixel shuffle makes the picture.

```mermaid
flowchart LR
  x([features]) --> plain["3x3"] --> add((+)) --> act["PReLU"] --> y([features])
  x --> wide["1x1, 3x3"] --> add
  x --> sx["1x1, Sobel across"] --> add
  x --> sy["1x1, Sobel down"] --> add
  x --> lap["1x1, Laplacian"] --> add
```

The paper's network works on luminance, in [0, 255] inside. ETDS's authors compare with a form on
RGB in [0, 1] and publish its weights, plain (`ecbsr_rgb_*_plain`) and after their equivalent
transformation (`ecbsr_rgb_*_et`), which carries the image through every layer on four channels
more, in place of the skip that phones compute slowly. `ecbsr_m4c16_idt` takes up an option of the
authors' code that their published networks leave off: convolutions that also add their input.

Paper: Zhang et al., ACM MM 2021; for the transformed form Chao et al., CVPR 2023.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    ConvChain,
    EdgeOrientedConv,
    IdentityEdgeOrientedConv,
    conv3x3,
    repeat_channels,
)
from sr_zoo.network import LuminanceNetwork, SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0  # the authors train on [0, 255]
CARRIED = 4  # channels for the image; its three, rounded up for the sake of speed
ALIGNMENT = 4  # widths are multiples of this, for the same reason
Conv = Callable[[int, int], nn.Module]


class LuminanceChain(LuminanceNetwork):
    """A chain of convolutions of the kind `conv`, added to the luminance of each pixel."""

    def __init__(self, scale: int, channels: int, num_blocks: int, conv: Conv) -> None:
        super().__init__(scale)
        widths = (1, *[channels] * (num_blocks + 1), scale**2)
        self.body = ConvChain(widths, act=nn.PReLU, conv=conv)

    def enlarge(self, luminance: Tensor) -> Tensor:
        luminance = luminance * PIXEL_MAX
        return F.pixel_shuffle(self.body(luminance) + luminance, self.scale) / PIXEL_MAX


class ECBSR(LuminanceChain):
    """The paper's network in training: edge-oriented convolutions over luminance."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale, channels, num_blocks, EdgeOrientedConv)


class IdentityECBSR(LuminanceChain):
    """Edge-oriented convolutions that also add their input, over luminance."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale, channels, num_blocks, IdentityEdgeOrientedConv)


class PlainECBSR(LuminanceChain):
    """The paper's network deployed: 3x3 convolutions over luminance."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale, channels, num_blocks, conv3x3)


class RGBChain(SRNetwork):
    """A chain of convolutions of the kind `conv`, added to the repeats of each pixel."""

    def __init__(self, scale: int, channels: int, num_blocks: int, conv: Conv) -> None:
        super().__init__(scale)
        widths = (3, *[channels] * (num_blocks + 1), 3 * scale**2)
        self.body = ConvChain(widths, act=nn.PReLU, conv=conv)

    def forward(self, x: Tensor) -> Tensor:
        nearest = repeat_channels(x, self.scale**2)
        return F.pixel_shuffle(self.body(x) + nearest, self.scale)


class ECBSRRGB(RGBChain):
    """The form on RGB in training; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale, channels, num_blocks, EdgeOrientedConv)


class PlainECBSRRGB(RGBChain):
    """The form on RGB deployed; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale, channels, num_blocks, conv3x3)


class TransformedECBSR(SRNetwork):
    """A chain of activated convolutions whose last width is rounded up and cut back.

    With the released weights the last two layers clip the picture to [0, 1].
    """

    def __init__(self, *, scale: int, channels: int = 16, num_blocks: int = 4) -> None:
        super().__init__(scale)
        widths = (3, *[channels + CARRIED] * (num_blocks + 1))
        out_channels = -(-3 * scale**2 // ALIGNMENT) * ALIGNMENT
        self.body = nn.Sequential(
            *(nn.Sequential(conv3x3(a, b), nn.PReLU(b)) for a, b in pairwise(widths)),
            nn.Sequential(conv3x3(widths[-1], out_channels), nn.ReLU()),
            nn.Sequential(nn.Conv2d(out_channels, out_channels, 1), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body(x)[:, : 3 * self.scale**2], self.scale)


SPEC = ArchSpec(
    network=ECBSR,
    variants={
        "ecbsr_m4c16": Variant(halo=6, scales=(2, 4)),
        "ecbsr_m4c32": Variant(halo=6, scales=(2, 4), arguments={"channels": 32}),
        "ecbsr_m10c32": Variant(
            halo=12, scales=(2, 4), arguments={"channels": 32, "num_blocks": 10}
        ),
    },
    paper=Paper(
        "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices",
        "ACM MM",
        2021,
    ),
    tags=("cnn", "mobile", "luminance", "reparameterisable"),
    reference="xindongzhang/ECBSR",
    reference_license="Apache-2.0",
)
RGB_VARIANTS = {
    "ecbsr_rgb_m4c16": Variant(halo=6),
    "ecbsr_rgb_m4c32": Variant(halo=6, arguments={"channels": 32}),
    "ecbsr_rgb_m6c40": Variant(halo=8, arguments={"channels": 40, "num_blocks": 6}),
}
RGB = replace(
    SPEC,
    network=ECBSRRGB,
    variants=RGB_VARIANTS,
    tags=("cnn", "mobile", "reparameterisable"),
    reference="ECNUSR/ETDS",
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=IdentityECBSR,
        variants={"ecbsr_m4c16_idt": Variant(halo=6, scales=(2,))},
    ),
    replace(
        SPEC,
        network=PlainECBSR,
        variants={f"{name}_plain": variant for name, variant in SPEC.variants.items()},
        tags=("cnn", "mobile", "luminance"),
    ),
    RGB,
    replace(
        RGB,
        network=PlainECBSRRGB,
        variants={f"{name}_plain": variant for name, variant in RGB_VARIANTS.items()},
        tags=("cnn", "mobile"),
    ),
    replace(
        RGB,
        network=TransformedECBSR,
        variants={f"{name}_et": variant for name, variant in RGB_VARIANTS.items()},
        paper=Paper(
            "Equivalent Transformation and Dual Stream Network Construction for Mobile Image "
            "Super-Resolution",
            "CVPR",
            2023,
        ),
        tags=("cnn", "mobile"),
    ),
)
