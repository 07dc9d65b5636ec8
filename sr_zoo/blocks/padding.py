"""Sizes that a network cannot take: pad before, crop after."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.strips import is_traced


def pad_to_minimum(x: Tensor, minimum: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until H, W >= `minimum`."""
    height, width = x.shape[-2:]
    right, below = max(minimum - width, 0), max(minimum - height, 0)
    if not is_traced() and right == below == 0:
        return x  # padding by nothing copies
    return F.pad(x, (0, right, 0, below), mode="replicate")


def next_multiple(length: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is no less than `length`."""
    return (length + multiple - 1) // multiple * multiple


def pad_to_multiple(x: Tensor, multiple: int, *, repeat_edge: bool = False) -> Tensor:
    """Mirror (N, C, H, W) below and to the right until H and W are multiples of `multiple`.

    The last row and column are repeated only if asked for; without, as in torch's ``"reflect"``
    mode, they are the mirror. An image smaller than what is missing is mirrored again and again,
    where that mode raises.
    """
    if not is_traced() and all(side % multiple == 0 for side in x.shape[-2:]):
        return x  # padding by nothing copies
    pixels = channels_last(x)  # index_select lays out anew, with the last axis together
    for dim in (1, 2):
        length = pixels.shape[dim]
        period = 2 * length if repeat_edge else max(2 * (length - 1), 1)
        cells = _wrap(torch.arange(next_multiple(length, multiple), device=x.device), period)
        mirrored = period - 1 - cells if repeat_edge else period - cells
        pixels = pixels.index_select(dim, torch.minimum(cells, mirrored))
    return channels_first(pixels)


def pad_symmetric(x: Tensor, border: int) -> Tensor:
    """Mirror (N, C, H, W) by `border` pixels on every side, the outermost repeated.

    An image smaller than `border` is mirrored again and again.
    """
    pixels = channels_last(x)  # as above
    for dim in (1, 2):
        length = pixels.shape[dim]
        cells = _wrap(torch.arange(-border, length + border, device=x.device), 2 * length)
        pixels = pixels.index_select(dim, torch.minimum(cells, 2 * length - 1 - cells))
    return channels_first(pixels)


def _wrap(cells: Tensor, period: int) -> Tensor:
    """Return the remainders of `cells` by `period`, from 0 on."""
    # by a tensor: the ONNX exporter knows no remainder by a number that depends on a size
    return cells % torch.full_like(cells[:1], period)


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """Keep the top left `height` x `width` pixels of (N, C, H, W)."""
    if not torch.compiler.is_compiling():
        return x[..., :height, :width]
    # not a slice: torch.export would note whether the slice is the whole image, and its program
    # then refuse all sizes for which that is otherwise
    rows, columns = (torch.arange(side, device=x.device) for side in (height, width))
    return x.index_select(-2, rows).index_select(-1, columns)
