"""ESPCN: the network that brought the sub-pixel convolution.

All convolutions run at LR size; the last gives as many channels as the output has pixels per input
pixel, and a pixel shuffle puts them in their places. Before it, networks enlarged the image first
and worked at HR size. Two convolutions with tanh precede it.

```mermaid
flowchart LR
  x([image]) --> a["5x5, tanh"] --> b["3x3, tanh"] --> c["3x3"]
  c --> shuffle["pixel shuffle"] --> sigmoid["sigmoid"] --> y([HR image])
```

Paper: Shi et al., CVPR 2016, arXiv:1609.05158. RGB in [0, 1].

Departs from the paper as ETDS's authors do, whose weights it takes: RGB instead of luminance, and a
sigmoid on the output.
"""

import torch
from torch import Tensor, nn

from sr_zoo.blocks import PixelShuffleUpsampler, conv3x3
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class ESPCN(SRNetwork):
    """Two convolutions with tanh, then pixels."""

    def __init__(self, *, scale: int, channels: int = 64, hidden: int = 32) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 5, padding=2)
        self.body = conv3x3(channels, hidden)
        self.upsampler = PixelShuffleUpsampler(hidden, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.tanh(self.body(torch.tanh(self.head(x))))
        return torch.sigmoid(self.upsampler(features))


SPEC = ArchSpec(
    network=ESPCN,
    variants={"espcn": Variant(halo=4)},
    paper=Paper(
        "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel "
        "Convolutional Neural Network",
        "CVPR",
        2016,
        "1609.05158",
    ),
    tags=("cnn", "baseline"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
