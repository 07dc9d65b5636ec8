"""Fixed colour transforms around a network."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.constants import Constants

PIXEL_MAX = 255.0

# BT.601 at studio swing (Y in [16, 235], chroma in [16, 240] of 255): rows Y, Cb, Cr from RGB in
# [0, 1], the luminance that papers measure and that networks on luminance are trained on
YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
YCBCR_OFFSET = (16.0, 128.0, 128.0)
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # RGB mean of DIV2K's training images, in [0, 1]


class MeanShift(Constants):
    """Subtracts a constant colour before a network and adds it again after.

    The mean is no weight: it is kept out of the state dict.

    Shape: (N, 3, H, W) to the same.

    Args:
        mean: One value per channel, in the units of the input.
    """

    mean: Tensor

    def __init__(self, mean: Sequence[float] = DIV2K_MEAN) -> None:
        super().__init__()
        self.register_constant("mean", torch.tensor, [[[value]] for value in mean])

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean

    def restore(self, x: Tensor) -> Tensor:
        """Add the mean again."""
        return x + self.mean


class YCbCr(Constants):
    """RGB to luminance and chroma and back; nothing of it is a weight.

    Shape: (N, 3, H, W) to the same, all in [0, 1].
    """

    matrix: Tensor
    inverse: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_constant("matrix", _ycbcr_matrix)
        self.register_constant("inverse", _ycbcr_matrix, torch.inverse)
        self.register_constant("offset", _ycbcr_offset)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.matrix) + self.offset

    def restore(self, x: Tensor) -> Tensor:
        """Return the RGB picture of luminance and chroma."""
        return F.conv2d(x - self.offset, self.inverse)


def _ycbcr_matrix(change: Callable[[Tensor], Tensor] = torch.clone) -> Tensor:
    matrix = change(torch.tensor(YCBCR, dtype=torch.float64) / PIXEL_MAX)
    return matrix[..., None, None].to(torch.get_default_dtype())


def _ycbcr_offset() -> Tensor:
    offset = torch.tensor(YCBCR_OFFSET, dtype=torch.float64) / PIXEL_MAX
    return offset[:, None, None].to(torch.get_default_dtype())
