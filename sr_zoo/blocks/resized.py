"""Resizing what was pooled back to its pixels, also where a network sees a tile of an image."""

from __future__ import annotations

from functools import cached_property
from types import EllipsisType

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.strips import may_cut
from sr_zoo.blocks.tile_view import TileView, current_view


def resize_pooled(
    cells: Tensor,
    size: tuple[int, int],
    *,
    window: int,
    stride: int,
    multiple: int = 1,
    align_corners: bool = False,
) -> Tensor:
    """Resize a pooled map back to its pixels, bilinear.

    Args:
        cells: (N, C, h, w), pooled without padding from a map of `size`.
        size: (H, W) of that map.
        window: Pixels that one cell saw, along each axis.
        stride: Pixels from one cell to the next.
        multiple: What the network padded the image's sides to a multiple of.
        align_corners: Whether the middles of the outermost cells and pixels coincide, instead of
            the outer edges of the maps.

    Returns:
        (N, C, H, W).
    """
    view = current_view()
    if view is None and not may_cut(cells):
        return F.interpolate(cells, size=size, mode="bilinear", align_corners=align_corners)
    view = view or _whole(size)
    pixels = _to_resize(cells)
    for axis in (1, 0):
        length = cells.shape[axis - 2]
        sampling = view.sampling(axis, length, size[axis], window, stride, multiple, align_corners)
        pixels = _resize_axis(pixels, axis, sampling)
    return channels_first(pixels).to(cells.dtype)


class ResizedMap:
    """What `resize_pooled` returns, for `in_strips`: of the whole, which is large, rows at a time.

    Args:
        cells: As for `resize_pooled`, as are the others.
        size: (H, W).
        window: Pixels that one cell saw.
        stride: Pixels from one cell to the next.
        multiple: What the network padded the image's sides to a multiple of.
    """

    def __init__(
        self, cells: Tensor, size: tuple[int, int], *, window: int, stride: int, multiple: int = 1
    ) -> None:
        self.shape = torch.Size((*cells.shape[:2], *size))
        self.is_cpu = cells.is_cpu
        self._cells, self._size = cells, size
        self._grid = (window, stride, multiple)

    def whole(self) -> Tensor:
        """Return (N, C, H, W)."""
        window, stride, multiple = self._grid
        return resize_pooled(
            self._cells, self._size, window=window, stride=stride, multiple=multiple
        )

    def __getitem__(self, place: tuple[EllipsisType, slice, slice], /) -> Tensor:
        _, rows, columns = place
        sampling = tuple(each[rows] for each in self._rows)
        pixels = _resize_axis(self._wide, 0, sampling)
        return channels_first(pixels).to(self._cells.dtype)[..., columns]

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._sampling(0)

    @cached_property
    def _wide(self) -> Tensor:
        """At the map's full width already, (N, h, W, C)."""
        return _resize_axis(_to_resize(self._cells), 1, self._sampling(1))

    def _sampling(self, axis: int) -> tuple[Tensor, Tensor, Tensor]:
        view = current_view() or _whole(self._size)
        cells, size = self._cells.shape[axis - 2], self._size[axis]
        return view.sampling(axis, cells, size, *self._grid)


def _whole(size: tuple[int, int]) -> TileView:
    start = (0, 0)
    return TileView(size, start, size, start, size)


def _to_resize(cells: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H, W, C), at least in float32, as torch weighs them too."""
    return channels_last(cells).to(torch.promote_types(cells.dtype, torch.float32))


def _resize_axis(pixels: Tensor, axis: int, sampling: tuple[Tensor, ...]) -> Tensor:
    """Resize (N, H, W, C) along rows (0) or columns (1).

    What comes out for a pixel depends on its place in the whole image alone, to the last bit, and
    so on no tile or strip: nothing is left to a kernel that may round by what lies beside it.
    """
    low, high, weight = (each.to(pixels.device) for each in sampling)
    weight = weight.to(pixels.dtype).unflatten(0, (-1, 1) if axis == 1 else (-1, 1, 1))
    lower = pixels.index_select(axis + 1, low).mul_(1 - weight)
    return lower.add_(pixels.index_select(axis + 1, high).mul_(weight))
