"""QuickSRNet: a plain chain of clipped convolutions for phones, with a 1x1 skip where it is deep.

Every 3x3 convolution is followed by a clip to [0, 1], which integers represent well, and starts as
the identity, so that the network trains without skips around its layers. The large network adds a
1x1 of the input before the pixel shuffle, in place of the identity in the last layer. The output is
clipped to [0, 1] by the network itself.

```mermaid
flowchart LR
  x([image]) --> body["3, 6 or 12 times: 3x3, clip"] --> tail["3x3"] --> add((+))
  x -. large only .-> skip["1x1"] -.-> add
  add --> clip["clip"] --> shuffle["pixel shuffle"] --> y([HR image])
```

The paper's networks for a scale of 1.5 are here as classes, `QuickSRNetOneAndAHalf` and
`QuickSRNetLargeOneAndAHalf` of `sr_zoo.models.quicksrnet`, to build, train and load the authors'
weights into. They are no models of the registry, whose scales are whole numbers. To enlarge
pictures 1.5 times, `sr_zoo.Upscaler(network, scale=1.5)` takes any network and reduces what it
gives.

Paper: Berger et al., CVPRW 2023, arXiv:2303.04336. RGB in [0, 1].
"""

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ClippedConvs, add_identity, conv3x3, crop, pad_to_multiple
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

DOWN, UP = 2, 3  # at a scale of 1.5, 2x2 pixels fold into one cell, which unfolds to 3x3 pixels


class QuickSRNet(SRNetwork):
    """3x3 convolutions, then a shuffle; (N, 3, H, W) to (N, 3, scale*H, scale*W) in [0, 1].

    The network starts near nearest-neighbour upscaling.
    """

    def __init__(self, *, scale: int, channels: int = 32, num_layers: int = 2) -> None:
        super().__init__(scale)
        self.body = ClippedConvs(3, channels, num_layers + 1)
        self.tail = add_identity(conv3x3(channels, 3 * scale**2), scale**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.tail(self.body(x)).clamp(0, 1), self.scale)


class QuickSRNetLarge(SRNetwork):
    """3x3 convolutions and a trained 1x1 skip; (N, 3, H, W) to scale times that, in [0, 1].

    Before training the skip is nearest-neighbour upscaling.
    """

    def __init__(self, *, scale: int, channels: int = 64, num_layers: int = 11) -> None:
        super().__init__(scale)
        self.body = ClippedConvs(3, channels, num_layers + 1)
        self.tail = conv3x3(channels, 3 * scale**2)
        self.skip = nn.Conv2d(3, 3 * scale**2, 1)
        for parameter in self.skip.parameters():
            nn.init.zeros_(parameter)
        add_identity(self.skip, scale**2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle((self.tail(self.body(x)) + self.skip(x)).clamp(0, 1), self.scale)


class QuickSRNetOneAndAHalf(nn.Module):
    """`QuickSRNet` for a scale of 1.5.

    Shape: (N, 3, H, W) to (N, 3, 1.5*H, 1.5*W), rounded down, in [0, 1].
    """

    def __init__(self, *, channels: int = 32, num_layers: int = 2) -> None:
        super().__init__()
        self.body = ClippedConvs(3, channels, num_layers + 1)
        self.tail = nn.Conv2d(channels * DOWN**2, 3 * UP**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2] * UP // DOWN, x.shape[-1] * UP // DOWN
        cells = self.cells(pad_to_multiple(x, DOWN)).clamp(0, 1)
        return crop(F.pixel_shuffle(cells, UP), height, width)

    def cells(self, x: Tensor) -> Tensor:
        """Return the output's 3x3 pixels of every cell, (N, 27, H/2, W/2)."""
        cells: Tensor = self.tail(F.pixel_unshuffle(self.body(x), DOWN))
        return cells


class QuickSRNetLargeOneAndAHalf(QuickSRNetOneAndAHalf):
    """`QuickSRNetLarge` for a scale of 1.5; shape as in `QuickSRNetOneAndAHalf`."""

    def __init__(self, *, channels: int = 64, num_layers: int = 11) -> None:
        super().__init__(channels=channels, num_layers=num_layers)
        self.skip = nn.Conv2d(3, 3 * UP**2, 3, stride=DOWN, padding=1)

    def cells(self, x: Tensor) -> Tensor:
        return super().cells(x) + self.skip(x)


SPEC = ArchSpec(
    network=QuickSRNet,
    variants={
        "quicksrnet_small": Variant(halo=4),
        "quicksrnet_medium": Variant(halo=7, arguments={"num_layers": 5}),
    },
    paper=Paper(
        "QuickSRNet: Plain Single-Image Super-Resolution Architecture for Faster Inference on "
        "Mobile Platforms",
        "CVPRW",
        2023,
        "2303.04336",
    ),
    tags=("cnn", "mobile"),
    reference="quic/aimet-model-zoo",
    reference_license="BSD-3-Clause",
)
OTHER_FORMS = (
    replace(SPEC, network=QuickSRNetLarge, variants={"quicksrnet_large": Variant(halo=13)}),
)
