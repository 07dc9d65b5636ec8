"""VDSR: the first very deep network for super-resolution; it learns what interpolation misses.

Twenty 3x3 convolutions run at HR size on luminance that is enlarged bicubically first. What they
give is added to it: the network learns the residual alone, which is what made this depth train. One
network serves all scales, since the input always has the output's size.

```mermaid
flowchart LR
  x([luminance]) --> up["bicubic"] --> body["19 times: 3x3, ReLU"] --> tail["3x3"] --> add((+))
  up --> add --> y([HR luminance])
```

Paper: Kim, Lee and Lee, CVPR 2016, arXiv:1511.04587. Luminance in [0, 1].
"""

from torch import Tensor, nn

from sr_zoo.blocks import ConvChain, Interpolation
from sr_zoo.network import LuminanceNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class VDSR(LuminanceNetwork):
    """A chain of 3x3 convolutions at HR size, under one skip around all of them."""

    def __init__(self, *, scale: int, channels: int = 64, num_layers: int = 20) -> None:
        super().__init__(scale)
        self.interpolation = Interpolation(scale)
        self.body = ConvChain((1, *[channels] * (num_layers - 1), 1), act=lambda _width: nn.ReLU())

    def enlarge(self, luminance: Tensor) -> Tensor:
        interpolated = self.interpolation(luminance)
        return interpolated + self.body(interpolated)


SPEC = ArchSpec(
    network=VDSR,
    variants={"vdsr": Variant(halo=12)},
    paper=Paper(
        "Accurate Image Super-Resolution Using Very Deep Convolutional Networks",
        "CVPR",
        2016,
        "1511.04587",
    ),
    tags=("cnn", "luminance", "baseline"),
)
