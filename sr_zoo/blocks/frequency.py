"""Telling smooth from detailed: a feature map's low frequencies."""

from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.tile_view import resize_pooled


def low_frequencies(x: Tensor, *, factor: int = 2, multiple: int = 1) -> Tensor:
    """Average a map over squares of pixels and resize it back; what is missing is its detail.

    Args:
        x: (N, C, H, W); H, W >= `factor`.
        factor: Side of the squares in pixels.
        multiple: What the network pads the picture's sides to a multiple of.

    Returns:
        (N, C, H, W).
    """
    cells = F.avg_pool2d(x, factor)
    size = (x.shape[-2], x.shape[-1])
    return resize_pooled(cells, size, window=factor, stride=factor, multiple=multiple)
