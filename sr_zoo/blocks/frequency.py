"""Telling smooth from detailed: low frequencies and gradients."""

from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.resized import resize_pooled


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


def grey_gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much the mean of the channels changes to the pixel below and to the right.

    Args:
        images: (N, C, H, W).

    Returns:
        Twice (N, 1, H, W); zero in the last row, and in the last column.
    """
    grey = F.pad(images.mean(1, keepdim=True), (0, 1, 0, 1), mode="replicate")
    return grey.diff(dim=-2)[..., :-1], grey.diff(dim=-1)[..., :-1, :]
