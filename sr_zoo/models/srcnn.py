"""SRCNN: the first convolutional network for super-resolution.

The image is enlarged bicubically first; three convolutions then extract patches, map them and put
the picture together, which is sparse coding written as a network. Luminance alone passes through
them. The configuration is the one that later papers compare with: kernels of 9, 5 and 5 pixels, 64
and 32 features.

```mermaid
flowchart LR
  x([luminance]) --> up["bicubic"] --> a["9x9, ReLU"] --> b["5x5, ReLU"] --> c["5x5"]
  c --> y([HR luminance])
```

Paper: Dong et al., TPAMI 2016, arXiv:1501.00092. Luminance in [0, 1], enlarged bicubically first.

Departs from the paper in that convolutions pad, so that the picture keeps its size.
"""

from torch import Tensor, nn

from sr_zoo.blocks import Interpolation
from sr_zoo.network import LuminanceNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class SRCNN(LuminanceNetwork):
    """Three convolutions at HR size: extraction, mapping, reconstruction."""

    def __init__(self, *, scale: int, channels: int = 64, hidden: int = 32) -> None:
        super().__init__(scale)
        self.body = nn.Sequential(
            Interpolation(scale),
            nn.Conv2d(1, channels, 9, padding=4),
            nn.ReLU(),
            nn.Conv2d(channels, hidden, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(hidden, 1, 5, padding=2),
        )

    def enlarge(self, luminance: Tensor) -> Tensor:
        return self.body(luminance)


SPEC = ArchSpec(
    network=SRCNN,
    variants={"srcnn": Variant(halo=6)},
    paper=Paper(
        "Image Super-Resolution Using Deep Convolutional Networks", "TPAMI", 2016, "1501.00092"
    ),
    tags=("cnn", "luminance", "baseline"),
)
