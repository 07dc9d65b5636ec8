"""RRDBNet: the network of ESRGAN and Real-ESRGAN, residual dense blocks within residual blocks.

Each dense block has five convolutions, each of which sees what all before it gave; its output is
added to its input at a fifth of its strength. Three of them in a row are again added to their input
at a fifth, without any normalisation, so that the whole stays stable at any depth. Pixels come by
repetition and convolutions. It is no efficient network, but one that most photographs of the last
years were enlarged by.

```mermaid
flowchart LR
  x([features]) --> a["3x3 (64 to 32)"] --> b["3x3 (96 to 32)"] --> c["3x3 (128 to 32)"]
  c --> d["3x3 (160 to 32)"] --> e["3x3 (192 to 64)"] --> times["x 0.2"] --> add((+))
  add --> y([features])
  x --> b & c & d & e & add
  a --> c & d & e
  b --> d & e
  c --> e
```

Paper: Wang et al., ECCV Workshops 2018, arXiv:1809.00219. RGB in [0, 1]. For a factor of 2,
Real-ESRGAN (arXiv:2107.10833) makes one pixel of four and enlarges by 4: `rrdbnet_unshuffled`,
which mirrors the last row or column of an odd side, as the authors' script does.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import NearestUpsampler, crop, pad_to_multiple
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

DENSE_CONVS = 5
DENSE_BLOCKS = 3  # in each residual block
STRENGTH = 0.2  # of what is added to a block's input
SLOPE = 0.2
DOWN = 2  # pixels of each side that the unshuffled form makes one of


class DenseBlock(nn.Module):
    """Convolutions that each see all before them; (N, channels, H, W) to the same.

    Source: Zhang et al., RDN, CVPR 2018, with ESRGAN's residual scaling.

    Args:
        channels: Width of the input and of the output.
        growth: Channels that each convolution but the last adds.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        widths = [growth] * (DENSE_CONVS - 1) + [channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(channels + i * growth, width, 3, padding=1) for i, width in enumerate(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self.convs
        features = x
        for conv in inner:
            features = torch.cat([features, F.leaky_relu(conv(features), SLOPE)], dim=1)
        return x + STRENGTH * last(features)


class RRDB(nn.ModuleList):
    """Residual in residual dense block; (N, channels, H, W) to the same. Source: ESRGAN, fig. 4."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__(DenseBlock(channels, growth) for _ in range(DENSE_BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for block in self:
            features = block(features)
        return x + STRENGTH * features


class RRDBNet(SRNetwork):
    """Dense blocks under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor; a power of 2.
        channels: Feature width.
        num_blocks: Of three dense blocks each.
        growth: Channels that each convolution of a dense block adds.
    """

    down = 1

    def __init__(
        self, *, scale: int, channels: int = 64, num_blocks: int = 23, growth: int = 32
    ) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3 * self.down**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(channels, growth) for _ in range(num_blocks)))
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = NearestUpsampler(channels, scale * self.down)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        return self.upsampler(shallow + self.body_out(self.body(shallow)))


class RRDBNetUnshuffled(RRDBNet):
    """The same at half of the input's size; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    down = DOWN

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        # in another memory layout it could not be exported for all sizes
        even = pad_to_multiple(x, DOWN).contiguous()
        out = super().forward(F.pixel_unshuffle(even, DOWN))
        return crop(out, self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=RRDBNet,
    variants={
        "rrdbnet": Variant(halo=349, scales=(4,)),
        "rrdbnet_6b": Variant(halo=94, scales=(4,), arguments={"num_blocks": 6}),
    },
    paper=Paper(
        "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks",
        "ECCV Workshops",
        2018,
        "1809.00219",
    ),
    tags=("cnn",),
    reference="XPixelGroup/BasicSR",
    reference_license="Apache-2.0",
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=RRDBNetUnshuffled,
        variants={"rrdbnet_unshuffled": Variant(halo=698, scales=(2,))},
        grid=DOWN,
    ),
)
