"""QuickSRNet-Large: a plain chain of clipped convolutions over the enlarged input, for phones.

Paper: Berger et al., CVPRW 2023, arXiv:2303.04336. RGB in [0, 1]; the network itself clips its
output to that. The small and medium networks, without a skip, are in `quicksrnet`.

The paper's network for a scale of 1.5 is here as a class. It is no model of the registry, whose
scales are whole numbers.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ClippedConvs, add_identity, conv3x3, crop, pad_to_multiple
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


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


class QuickSRNetLargeOneAndAHalf(nn.Module):
    """The form for a scale of 1.5: 2x2 pixels fold into one cell, which unfolds to 3x3 pixels.

    Shape: (N, 3, H, W) to (N, 3, 1.5*H, 1.5*W), rounded down, in [0, 1].
    """

    DOWN, UP = 2, 3

    def __init__(self, *, channels: int = 64, num_layers: int = 11) -> None:
        super().__init__()
        self.body = ClippedConvs(3, channels, num_layers + 1)
        self.tail = nn.Conv2d(channels * self.DOWN**2, 3 * self.UP**2, 1)
        self.skip = nn.Conv2d(3, 3 * self.UP**2, 3, stride=self.DOWN, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2] * self.UP // self.DOWN, x.shape[-1] * self.UP // self.DOWN
        x = pad_to_multiple(x, self.DOWN)
        cells = self.tail(F.pixel_unshuffle(self.body(x), self.DOWN)) + self.skip(x)
        return crop(F.pixel_shuffle(cells.clamp(0, 1), self.UP), height, width)


SPEC = ArchSpec(
    network=QuickSRNetLarge,
    variants={"quicksrnet_large": Variant(halo=13)},
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
