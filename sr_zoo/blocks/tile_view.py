"""What a tile has to know of the image around it, so that it comes out as in one piece.

Convolutions need nothing but enough surrounding pixels. Two kinds of layer need more: an average
over the whole image, and a resize whose ratio comes from the whole image's size. Both are functions
here. On a whole image they are a plain mean and a plain bilinear resize; inside ``with view:`` they
answer as the whole image would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

_CURRENT: ContextVar[TileView | None] = ContextVar("tile_view", default=None)


class Statistics:
    """Averages over a whole image, gathered tile by tile: one entry per layer that asks for one.

    Layers are told apart by the order in which one forward pass reaches them. `advance` turns the
    sums of a pass into the averages that the next pass uses; those of a layer are right once those
    of all layers before it are.

    Attributes:
        averages: Per layer (N, C, 1, 1), float64; empty before the first `advance`.
    """

    def __init__(self, averages: Sequence[Tensor] = ()) -> None:
        self.averages = list(averages)
        self._sums: list[Tensor] = []
        self._counts: list[int] = []

    def add(self, layer: int, core: Tensor) -> None:
        """Add the values (N, C, h, w) that one tile contributes to a layer's average."""
        total = core.double().sum((-2, -1), keepdim=True)
        count = core.shape[-2] * core.shape[-1]
        if layer == len(self._sums):
            self._sums.append(total)
            self._counts.append(count)
        else:
            self._sums[layer] += total
            self._counts[layer] += count

    def advance(self) -> None:
        """Fix the averages gathered by the pass that ends here and start the next one."""
        self.averages = [s / max(n, 1) for s, n in zip(self._sums, self._counts, strict=True)]
        self._sums, self._counts = [], []


@dataclass
class TileView:
    """Where a tile lies in the whole image, all in LR pixels as (vertical, horizontal).

    Attributes:
        whole: Size of the image.
        origin: Top left corner of the tile, halo included.
        size: Size of the tile, halo included.
        core_origin: Top left corner of what the tile is responsible for.
        core_size: Size of that.
        statistics: Averages shared by all tiles of the image.
    """

    whole: tuple[int, int]
    origin: tuple[int, int]
    size: tuple[int, int]
    core_origin: tuple[int, int]
    core_size: tuple[int, int]
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self._layer = 0

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the view that a forward pass inside the block runs under."""
        self._layer = 0
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def mean(self, x: Tensor, stride: int) -> Tensor:
        """Contribute the core of `x` to the layer's average; return the best one known so far."""
        layer, self._layer = self._layer, self._layer + 1
        rows, columns = self._core(0, x.shape[-2], stride), self._core(1, x.shape[-1], stride)
        self.statistics.add(layer, x[..., rows, columns])
        if layer < len(self.statistics.averages):
            return self.statistics.averages[layer].to(x)
        return x.mean((-2, -1), keepdim=True)

    def _core(self, axis: int, length: int, stride: int) -> slice:
        """Return what of a feature map's axis is core; at the image's end also the padding."""
        start = (self.core_origin[axis] - self.origin[axis]) // stride
        if self.core_origin[axis] + self.core_size[axis] == self.whole[axis]:
            return slice(start, length)
        return slice(start, start + self.core_size[axis] // stride)

    def sampling(
        self, axis: int, cells: int, size: int, window: int, stride: int, multiple: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return lower cell, upper cell and weight of the upper one for each of `size` pixels."""
        whole = -(-self.whole[axis] // multiple) * multiple
        whole_cells = (whole - window) // stride + 1
        pixels = torch.arange(size, dtype=torch.float64) + self.origin[axis]
        position = (pixels + 0.5) * (whole_cells / whole) - 0.5
        position = position.clamp(0, whole_cells - 1)
        lower = position.floor()
        first = self.origin[axis] // stride
        last = whole_cells - 1 - first
        index = lower.long() - first
        return (
            index.clamp(0, cells - 1),
            (index + 1).clamp(max=last).clamp(0, cells - 1),
            (position - lower).float(),
        )


def global_mean(x: Tensor, *, stride: int = 1) -> Tensor:
    """Average a feature map over the whole image.

    Args:
        x: (N, C, H, W).
        stride: LR pixels per cell of `x`.

    Returns:
        (N, C, 1, 1).
    """
    view = _CURRENT.get()
    return x.mean((-2, -1), keepdim=True) if view is None else view.mean(x, stride)


def resize_pooled(
    cells: Tensor, size: tuple[int, int], *, window: int, stride: int, multiple: int = 1
) -> Tensor:
    """Resize a pooled map back to its pixels, bilinear, corners not aligned.

    Args:
        cells: (N, C, h, w), pooled without padding from a map of `size`.
        size: (H, W) of that map.
        window: Pixels that one cell saw, along each axis.
        stride: Pixels from one cell to the next.
        multiple: What the network padded the image's sides to a multiple of.

    Returns:
        (N, C, H, W).
    """
    view = _CURRENT.get()
    if view is None:
        return F.interpolate(cells, size=size, mode="bilinear", align_corners=False)
    for axis in (0, 1):
        dim = axis - 2
        low, high, weight = (
            t.to(cells.device)
            for t in view.sampling(axis, cells.shape[dim], size[axis], window, stride, multiple)
        )
        weight = weight.to(cells.dtype)
        weight = weight[:, None] if axis == 0 else weight
        cells = cells.index_select(dim, low) * (1 - weight) + cells.index_select(dim, high) * weight
    return cells
