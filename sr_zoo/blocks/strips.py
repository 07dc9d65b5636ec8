"""Running local layers strip by strip, so that the maps between them never exist as a whole.

A strip's maps stay in the processor's cache, and the memory that the whole image needs is that of
the first and the last map.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from mmap import mmap
from types import EllipsisType
from typing import Protocol

import torch
from torch import Tensor

from sr_zoo.heap import give_back

STRIP_PIXELS = 1 << 15  # fastest of 2**13 to 2**16 for the blocks of SeemoRe and RLFN
LEAST_ROWS = 16
LARGE = 1 << 23  # values of a map; going through it takes far longer than to get a strip's memory
KEPT_STRIPS = 4  # a map of no more is computed once and kept

_whole_maps: ContextVar[bool] = ContextVar("whole_maps", default=False)


class Rows(Protocol):
    """A map of which rows can be had without the others."""

    shape: torch.Size

    @property
    def is_cpu(self) -> bool:
        """Whether it is, or will be, on the CPU."""

    def whole(self) -> Tensor:
        """Return all of it."""

    def __getitem__(self, place: tuple[EllipsisType, slice, slice], /) -> Tensor:
        """Return some rows and columns."""


def in_strips(
    run: Callable[..., Tensor],
    first_map: Tensor | Rows,
    *others: Tensor | Rows,
    reach: int = 0,
    scale: int = 1,
    shrink: int = 1,
    inflation: int = 1,
    into: Tensor | None = None,
) -> Tensor:
    """Run layers that see no more than `reach` rows up and down on strips of rows.

    Only on the CPU and without gradients; else, and while a network is traced, on the whole.

    Args:
        run: Takes as many maps as are given, cut alike; returns one, padded to keep its size.
        first_map: (N, ..., H, W).
        *others: Of the same H and W; one that comes into being row by row, such as a `ResizedMap`,
            never does as a whole where strips are run.
        reach: Rows around an output row that change it.
        scale: Rows and columns of the output per row and column of the maps.
        shrink: Rows and columns of the maps per row and column of the output, where pixels are
            pooled, without padding; not along with a reach.
        inflation: How many times fewer rows a strip has, where its maps grow on the way.
        into: What may be overwritten by the output where strips are run; it can be one of the maps.

    Returns:
        What `run` would return for the whole maps.
    """
    maps = (first_map, *others)
    height, width = first_map.shape[-2:]
    if not may_cut(first_map):
        return run(*map(whole_of, maps))
    rows = max(STRIP_PIXELS // (width * inflation), LEAST_ROWS, 4 * reach)
    rows = -(-rows // shrink) * shrink
    if height <= rows:
        return run(*map(whole_of, maps))
    if others or into is None:  # else there is this one map only, and memory for others
        _begin_pass(first_map)
    whole = torch.empty(0) if into is None else into
    above: Tensor | None = None  # rows of `into` that are overwritten, as they were
    for top in range(0, height // shrink * shrink, rows):
        first, last = max(top - reach, 0), min(top + rows + reach, height)
        strips = [each[..., first:last, :] for each in maps]
        if above is not None:
            strips = [
                torch.cat([above, strip[..., reach:, :]], dim=-2) if each is into else strip
                for each, strip in zip(maps, strips, strict=True)
            ]
        strip = run(*strips)
        del strips
        if top == 0 and into is None:
            whole = _empty_like(strip, height * scale // shrink)
        if reach and into is not None:
            above = into[..., top + rows - reach : top + rows, :].clone()
        start, length = top * scale // shrink, rows * scale // shrink
        inside = (top - first) * scale  # of the strip
        whole[..., start : start + length, :] = strip[..., inside : inside + length, :]
        del strip  # before the next one is computed
    return whole


class ComputedMap:
    """A map that layers make of another, for `in_strips`: in whole where it is small, else by rows.

    Rows of a large one are computed whenever they are asked for, again and again: for layers that
    take little time, that is cheaper than the memory of the whole.

    Args:
        run: The layers; padded to keep the size.
        source: (N, ..., H, W).
        reach: Rows of `source` around a row that change it.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], source: Tensor, *, reach: int = 0) -> None:
        self.shape, self.dtype, self.is_cpu = source.shape, source.dtype, source.is_cpu
        self._run, self._reach = run, reach
        self._source: Tensor | None = source
        self._whole = source  # once there is no source any more

    def whole(self) -> Tensor:
        """Return all of it, and keep it."""
        if self._source is not None:
            self._whole = in_strips(self._run, self._source, reach=self._reach)
            self._source = None
        return self._whole

    def __getitem__(self, place: tuple[EllipsisType, slice, slice], /) -> Tensor:
        height, width = self.shape[-2:]
        if self._source is None or height * width <= KEPT_STRIPS * STRIP_PIXELS:
            return self.whole()[place]
        _, rows, columns = place
        start, stop, _ = rows.indices(height)
        first, last = max(start - self._reach, 0), min(stop + self._reach, height)
        computed = self._run(self._source[..., first:last, :])
        return computed[..., start - first : stop - first, columns]


class PassingMap:
    """A map that is read once, from top to bottom: what was read is let go of.

    Args:
        x: (N, ..., H, W); copied where strips are run, so let go of it, too.
    """

    def __init__(self, x: Tensor) -> None:
        self.shape, self.is_cpu = x.shape, x.is_cpu
        strips = list(rows_of(x)) if may_cut(x) else [x]
        self._strips = deque(map(_mapped, strips)) if len(strips) > 1 else deque([x])
        self._top = 0  # of the first strip that is still there

    def whole(self) -> Tensor:
        """Return all that is still there."""
        return torch.cat(list(self._strips), dim=-2) if len(self._strips) > 1 else self._strips[0]

    def __getitem__(self, place: tuple[EllipsisType, slice, slice], /) -> Tensor:
        _, rows, columns = place
        start, stop, _ = rows.indices(self.shape[-2])
        while self._top + self._strips[0].shape[-2] <= start:
            self._top += self._strips.popleft().shape[-2]
        found, top = [], self._top
        for strip in self._strips:
            if top >= stop:
                break
            found.append(strip[..., max(start - top, 0) : stop - top, columns])
            top += strip.shape[-2]
        return found[0] if len(found) == 1 else torch.cat(found, dim=-2)


def rows_of(x: Tensor | Rows) -> Iterator[Tensor]:
    """Yield a map strip by strip."""
    _begin_pass(x)
    height, width = x.shape[-2:]
    rows = max(STRIP_PIXELS // width, LEAST_ROWS)
    for top in range(0, height, rows):
        yield x[..., top : min(top + rows, height), :]


def may_cut(x: Tensor | Rows) -> bool:
    """Whether a map may be worked on in parts: on the CPU, without gradients, not traced."""
    return x.is_cpu and not torch.is_grad_enabled() and not is_traced() and not _whole_maps.get()


@contextmanager
def whole_maps() -> Iterator[None]:
    """Let no map be worked on in parts, for hooks that are to see all of each."""
    before = _whole_maps.set(True)
    try:
        yield
    finally:
        _whole_maps.reset(before)


def is_traced() -> bool:
    """Whether a network is being turned into a program, for images of any size."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[no-untyped-call, attr-defined]


def whole_of(each: Tensor | Rows) -> Tensor:
    """Return all of a map, whichever kind it is."""
    return each if isinstance(each, Tensor) else each.whole()


def _begin_pass(x: Tensor | Rows) -> None:
    """Give back what the last pass left before a map is gone through, where that takes little."""
    if x.is_cpu and prod(x.shape) > LARGE:
        give_back()


def _empty_like(strip: Tensor, height: int) -> Tensor:
    """Return a map of another height whose values lie in memory as those of `strip`."""
    last = strip.is_contiguous(memory_format=torch.channels_last)
    form = torch.channels_last if last else torch.contiguous_format
    size = (*strip.shape[:-2], height, strip.shape[-1])
    return torch.empty(size, dtype=strip.dtype, device=strip.device, memory_format=form)


def _mapped(strip: Tensor) -> Tensor:
    """Return a copy in memory that the system has back as soon as the copy is let go of.

    Raises:
        MemoryError: There is not enough.
    """
    try:
        pages = mmap(-1, strip.nbytes)
    except OSError as error:
        raise MemoryError(f"no memory for a strip of {strip.nbytes} bytes") from error
    strides = torch.empty_like(strip, device="meta").stride()
    return torch.frombuffer(pages, dtype=strip.dtype).as_strided(strip.shape, strides).copy_(strip)
