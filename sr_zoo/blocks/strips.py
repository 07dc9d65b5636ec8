"""Running local layers strip by strip, so that the maps between them never exist as a whole.

A strip's maps stay in the processor's cache, and the memory that the whole image needs is that of
the first and the last map.
"""

from collections.abc import Callable
from types import EllipsisType
from typing import Protocol

import torch
from torch import Tensor

STRIP_PIXELS = 1 << 15  # fastest of 2**13 to 2**16 for the blocks of SeemoRe and RLFN
LEAST_ROWS = 16


class Rows(Protocol):
    """A map of which rows can be had without the others."""

    shape: torch.Size

    def whole(self) -> Tensor:
        """Return all of it."""

    def __getitem__(self, place: tuple[EllipsisType, slice, slice], /) -> Tensor:
        """Return some rows and columns."""


def in_strips(
    run: Callable[..., Tensor],
    first_map: Tensor,
    *others: Tensor | Rows,
    reach: int = 0,
    scale: int = 1,
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
        inflation: How many times fewer rows a strip has, where its maps grow on the way.
        into: What may be overwritten by the output where strips are run; with a reach of 0 one of
            the maps can be.

    Returns:
        What `run` would return for the whole maps.
    """
    maps = (first_map, *others)
    height, width = first_map.shape[-2:]
    if not may_cut(first_map):
        return run(*map(_whole, maps))
    rows = max(STRIP_PIXELS // (width * inflation), LEAST_ROWS, 4 * reach)
    if height <= rows:
        return run(*map(_whole, maps))
    whole = torch.empty(0) if into is None else into
    for top in range(0, height, rows):
        first, last = max(top - reach, 0), min(top + rows + reach, height)
        strip = run(*(each[..., first:last, :] for each in maps))
        if top == 0 and into is None:
            whole = _empty_like(strip, height * scale)
        kept = strip[..., (top - first) * scale :, :][..., : rows * scale, :]
        whole[..., top * scale : (top + rows) * scale, :] = kept
    return whole


def may_cut(x: Tensor) -> bool:
    """Whether a map may be worked on in parts: on the CPU, without gradients, not traced."""
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[no-untyped-call, attr-defined]
    return x.is_cpu and not torch.is_grad_enabled() and not traced


def _whole(each: Tensor | Rows) -> Tensor:
    return each if isinstance(each, Tensor) else each.whole()


def _empty_like(strip: Tensor, height: int) -> Tensor:
    """Return a map of another height whose values lie in memory as those of `strip`."""
    last = strip.is_contiguous(memory_format=torch.channels_last)
    form = torch.channels_last if last else torch.contiguous_format
    size = (*strip.shape[:-2], height, strip.shape[-1])
    return torch.empty(size, dtype=strip.dtype, device=strip.device, memory_format=form)
