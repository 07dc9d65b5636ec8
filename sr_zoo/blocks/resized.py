"""Resizing what was pooled back to its pixels, also where a network sees a tile of an image."""

from __future__ import annotations

from functools import cached_property
from types import EllipsisType

import torch
from torch import Tensor
from torch.nn import functional as F

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
    if view is None:
        return F.interpolate(cells, size=size, mode="bilinear", align_corners=align_corners)
    for axis in (0, 1):
        length = cells.shape[axis - 2]
        sampling = view.sampling(axis, length, size[axis], window, stride, multiple, align_corners)
        cells = _resize_axis(cells, axis, sampling)
    return cells


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
        return _resize_axis(self._wide, 0, sampling)[..., columns]

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._sampling(0)

    @cached_property
    def _wide(self) -> Tensor:
        """At the map's full width already, (N, C, h, W)."""
        return _resize_axis(self._cells, 1, self._sampling(1))

    def _sampling(self, axis: int) -> tuple[Tensor, Tensor, Tensor]:
        whole, start = self._size, (0, 0)
        view = current_view() or TileView(whole, start, whole, start, whole)
        cells, size = self._cells.shape[axis - 2], self._size[axis]
        return view.sampling(axis, cells, size, *self._grid)


def _resize_axis(cells: Tensor, axis: int, sampling: tuple[Tensor, ...]) -> Tensor:
    """Resize (N, C, H, W) along rows (0) or columns (1)."""
    low, high, weight = (each.to(cells.device) for each in sampling)
    weight = weight.to(cells.dtype)
    weight = weight[:, None] if axis == 0 else weight
    dim = axis - 2
    return cells.index_select(dim, low) * (1 - weight) + cells.index_select(dim, high) * weight
