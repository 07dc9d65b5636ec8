"""What a tile has to know of the image around it, so that it comes out as in one piece.

Convolutions need nothing but enough surrounding pixels. Two kinds of layer need more: one that
averages over the whole image (`sr_zoo.blocks.global_statistics`), and a resize whose ratio comes
from the whole image's size. Inside ``with view.active():`` they answer as the whole image would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor

_CURRENT: ContextVar[TileView | None] = ContextVar("tile_view", default=None)
SETTLED = 1e-6  # of a layer's largest average: below it, averages count as unchanged


class Statistics:
    """Averages over a whole image, gathered tile by tile: one entry per layer that asks for one.

    Layers are told apart by the order in which one forward pass reaches them. `advance` turns the
    sums of a pass into the averages that the next pass uses; those of a layer are right once those
    of all layers before it are.

    Attributes:
        averages: Per layer, float64: (N, C, 1, 1), or what else a layer sums over its pixels; empty
            before the first `advance`.
    """

    def __init__(self, averages: Sequence[Tensor] = ()) -> None:
        self.averages = list(averages)
        self._sums: list[Tensor] = []
        self._counts: list[int] = []

    def add(self, tile: Sequence[tuple[Tensor, int]]) -> None:
        """Add what one tile contributes: per layer a sum, float64, and over how many pixels."""
        for layer, (total, count) in enumerate(tile):
            if layer == len(self._sums):
                self._sums.append(total)
                self._counts.append(count)
            else:
                self._sums[layer] += total
                self._counts[layer] += count

    def advance(self) -> bool:
        """Fix the averages gathered by the pass that ends here and start the next one.

        Returns:
            Whether they moved; if not, another pass would gather the same.
        """
        before = self.averages
        self.averages = [s / max(n, 1) for s, n in zip(self._sums, self._counts, strict=True)]
        self._sums, self._counts = [], []
        return len(before) != len(self.averages) or any(
            _moved(old, new) for old, new in zip(before, self.averages, strict=True)
        )


def _moved(old: Tensor, new: Tensor) -> bool:
    """Whether a layer's averages changed by more than the rounding of float32 explains."""
    return bool((new - old).abs().max() > SETTLED * new.abs().max())


@dataclass
class TileView:
    """Where a tile lies in the whole image, all in LR pixels as (vertical, horizontal).

    Attributes:
        whole: Size of the image.
        origin: Top left corner of the tile, halo included. Where its halo goes on at the opposite
            border, where the tile would begin if the core's surroundings were all there is.
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
        self._contributions: list[tuple[Tensor, int]] = []

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the view that a forward pass inside the block runs under.

        A pass that fails contributes nothing to the statistics.
        """
        self.restart()
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)
        self.statistics.add(self._contributions)

    def restart(self) -> None:
        """Forget what the forward pass contributed so far: it is run again."""
        self._contributions = []

    def mean(self, x: Tensor, stride: int) -> Tensor:
        """Contribute the core of `x` to the layer's average; return the best one known so far."""
        core = self.core(x, stride)
        total = exact(core).sum((-2, -1), keepdim=True)
        average = self.average(total, core.shape[-2] * core.shape[-1])
        return x.mean((-2, -1), keepdim=True) if average is None else average.to(x)

    def average(self, total: Tensor, count: int) -> Tensor | None:
        """Contribute the core's sum to the layer's average; return the best known, if any is."""
        layer = len(self._contributions)
        self._contributions.append((total, count))
        known = self.statistics.averages
        return known[layer] if layer < len(known) else None

    def core(self, x: Tensor, stride: int = 1) -> Tensor:
        """Cut a feature map (..., h, w) down to what the tile is responsible for."""
        rows, columns = self._core(0, x.shape[-2], stride), self._core(1, x.shape[-1], stride)
        return x[..., rows, columns]

    def _core(self, axis: int, length: int, stride: int) -> slice:
        """Return what of a feature map's axis is core; at the image's end also the padding."""
        start = (self.core_origin[axis] - self.origin[axis]) // stride
        if self.core_origin[axis] + self.core_size[axis] == self.whole[axis]:
            return slice(start, length)
        return slice(start, start + self.core_size[axis] // stride)

    def length(self, axis: int, tile_length: int) -> int:
        """Return the side of the whole image; larger only if a small image was padded."""
        return max(self.whole[axis], tile_length)

    def sampling(
        self,
        axis: int,
        cells: int,
        size: int,
        window: int,
        stride: int,
        multiple: int,
        align_corners: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return lower cell, upper cell and weight of the upper one for each of `size` pixels."""
        whole = -(-self.whole[axis] // multiple) * multiple
        whole_cells = (whole - window) // stride + 1
        pixels = torch.arange(size, dtype=torch.float64) + self.origin[axis]
        if align_corners:
            position = pixels * ((whole_cells - 1) / max(whole - 1, 1))
        else:
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


def exact(x: Tensor) -> Tensor:
    """Return values in double precision: on the CPU where their device has none, as Apple's."""
    return x.cpu().double() if x.is_mps else x.double()


def current_view() -> TileView | None:
    """Return the view that the running forward pass is in; None on a whole image."""
    return _CURRENT.get()


@contextmanager
def whole_image() -> Iterator[None]:
    """Make forward passes inside the block take what they are given for a whole image."""
    token = _CURRENT.set(None)
    try:
        yield
    finally:
        _CURRENT.reset(token)
