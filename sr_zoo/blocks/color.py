"""Fixed colour transforms around a network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

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
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.mean

    def restore(self, x: Tensor) -> Tensor:
        """Add the mean again."""
        return x + self.mean
