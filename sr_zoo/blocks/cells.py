"""Pooling to a fraction of the image's size and back, in a tile the same as in one piece.

A side of L pixels becomes n = L // `cell` cells. They share L evenly, as PyTorch's adaptive pools
define it: cell i sees the pixels from floor(i*L / n) up to ceil((i+1)*L / n), so that cells overlap
and drift against multiples of `cell` where L is no multiple itself. Inside a `TileView`, L is the
side of the whole image and a tile, which starts on a multiple of `cell`, holds the cells from
its first pixel's on; those that reach beyond it are wrong, which its halo covers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.tile_view import TileView, current_view


def max_pool_to_cells(x: Tensor, cell: int) -> Tensor:
    """Adaptive max pooling of (N, C, H, W) to (N, C, H // cell, W // cell); H, W >= `cell`.

    Written with indices: PyTorch's own operator does not export with dynamic sizes.
    """
    view = current_view()
    pixels = channels_last(x)  # index_select lays out anew, with the last axis together
    return channels_first(_pool_axis(_pool_axis(pixels, 0, cell, view), 1, cell, view))


def _pool_axis(x: Tensor, axis: int, cell: int, view: TileView | None) -> Tensor:
    length = x.shape[1 + axis]
    whole = length if view is None else view.length(axis, length)
    origin = 0 if view is None else view.origin[axis]
    whole_cells = whole // cell
    cells = torch.arange(length // cell, device=x.device) + origin // cell
    first = cells * whole // whole_cells - origin
    last = ((cells + 1) * whole + whole_cells - 1) // whole_cells - 1 - origin
    # no window is longer than 2 * cell; shorter ones read their last pixel again
    pixels = torch.minimum(first[:, None] + torch.arange(2 * cell, device=x.device), last[:, None])
    windows = x.index_select(1 + axis, pixels.clamp(max=length - 1).flatten())
    return torch.unflatten(windows, 1 + axis, (-1, 2 * cell)).amax(2 + axis)


def spread_cells(cells: Tensor, size: tuple[int, int], cell: int) -> Tensor:
    """Resize a map from `max_pool_to_cells` back to its pixels, nearest.

    Args:
        cells: (N, C, h, w).
        size: (H, W) of the map that was pooled.
        cell: As given to `max_pool_to_cells`.

    Returns:
        (N, C, H, W).
    """
    view = current_view()
    if view is None:
        return F.interpolate(cells, size=size, mode="nearest")
    spread = channels_last(cells)  # as above
    for axis in (0, 1):
        whole = view.length(axis, size[axis])
        pixels = torch.arange(size[axis], device=cells.device) + view.origin[axis]
        # float32, so that every pixel rounds as in PyTorch's resize
        index = (pixels.float() * torch.tensor((whole // cell) / whole)).long()
        index -= view.origin[axis] // cell
        spread = spread.index_select(1 + axis, index.clamp(0, cells.shape[2 + axis] - 1))
    return channels_first(spread)
