"""Fixed colour transforms around a network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PIXEL_MAX = 255.0

# BT.601 at studio swing (Y in [16, 235], chroma in [16, 240] of 255): rows Y, Cb, Cr from RGB in
# [0, 1], the luminance that papers measure and that networks on luminance are trained on
YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
YCBCR_OFFSET = (16.0, 128.0, 128.0)
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # RGB mean of DIV2K's training images, in [0, 1]


class MeanShift(nn.Module):
    """Subtracts a constant colour before a network and adds it again after.

    The mean is no weight: it is kept out of the state dict.

    Shape: (N, 3, H, W) to the same.

    Args:
        mean: One value per channel, in the units of the input.
    """

    mean: Tensor

    def __init__(self, mean: Sequence[float] = DIV2K_MEAN) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean

    def restore(self, x: Tensor) -> Tensor:
        """Add the mean again."""
        return x + self.mean


class YCbCr(nn.Module):
    """RGB to luminance and chroma and back; nothing of it is a weight.

    Shape: (N, 3, H, W) to the same, all in [0, 1].
    """

    matrix: Tensor
    inverse: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.tensor(YCBCR, dtype=torch.float64) / PIXEL_MAX
        offset = torch.tensor(YCBCR_OFFSET, dtype=torch.float64) / PIXEL_MAX
        buffers = {
            "matrix": matrix[..., None, None],
            "inverse": matrix.inverse()[..., None, None],
            "offset": offset[:, None, None],
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.matrix) + self.offset

    def restore(self, x: Tensor) -> Tensor:
        """Return the RGB picture of luminance and chroma."""
        return F.conv2d(x - self.offset, self.inverse)
