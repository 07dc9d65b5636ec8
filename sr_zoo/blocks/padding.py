"""Sizes that a network cannot take: pad before, crop after."""

from torch import Tensor
from torch.nn import functional as F


def pad_to_minimum(x: Tensor, minimum: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until H, W >= `minimum`."""
    height, width = x.shape[-2:]
    right, below = max(minimum - width, 0), max(minimum - height, 0)
    return F.pad(x, (0, right, 0, below), mode="replicate")


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """Keep the top left `height` x `width` pixels of (N, C, H, W)."""
    return x[..., :height, :width]
