"""Cutting an image into tiles that come out as they would in one piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import lcm
from types import EllipsisType
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from sr_zoo.blocks import TileView
from sr_zoo.blocks.hooked import copy_of
from sr_zoo.blocks.tile_view import Statistics
from sr_zoo.errors import OptionError, OutOfMemoryError
from sr_zoo.network import SRNetwork

NARROW = 4  # images to try, a cell apart
SHORT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
REGISTER = 16  # numbers in float32, of the widest that processors have

Argument = TypeVar("Argument")


class Enlarges(Protocol):
    """A network, or a program that stands for one."""

    scale: int

    def __call__(self, image: Tensor, /) -> Tensor:
        """Enlarge (N, 3, H, W), RGB in [0, 1]."""


class Cuttable(Protocol):
    """An image (N, 3, H, W), of which only the pieces that are asked for need be in memory."""

    @property
    def shape(self) -> torch.Size: ...

    def __getitem__(self, place: tuple[EllipsisType, slice, slice], /) -> Tensor:
        """Return rows and columns of it, on the network's device."""


@dataclass(frozen=True)
class Core:
    """The part of an image that a tile is responsible for, in LR pixels."""

    top: int
    left: int
    height: int
    width: int

    def split(self, side: int, grid: int) -> list[Core]:
        """Cut into pieces of at most `side` pixels a side, row by row.

        As few as that takes, and about equal: convolutions treat a map of few columns, as the rest
        of an image would be, in another way than a wide one, and round in another. So do some
        activations with what is left over of a map that does not fill the processor's registers,
        in runtimes that do not see to it.

        Args:
            side: A multiple of `grid`.
            grid: Pieces begin on multiples of this.
        """
        bottom, right = self.top + self.height, self.left + self.width
        down, across = (_step(length, side, grid) for length in (self.height, self.width))
        return [
            Core(top, left, min(down, bottom - top), min(across, right - left))
            for top in range(self.top, bottom, down)
            for left in range(self.left, right, across)
        ]


def _step(length: int, side: int, grid: int) -> int:
    """Return how long pieces are, but the last, where a length becomes as few as `side` allows."""
    least = -(-length // -(-length // side))
    return min(_ceil(least, lcm(grid, REGISTER)), side)


@dataclass(frozen=True)
class Tiling:
    """How an image is cut.

    Attributes:
        side: Sides of a tile's core in LR pixels, the part that is kept; a multiple of `grid`.
        halo: LR pixels around the core that the network also sees, cut off afterwards.
        grid: Tiles start on multiples of this.
        passes: How often the image is first run through for its statistics, at most: it ends early
            when they no longer move. 0 leaves each tile its own.
        wraps: Whether the network's windows wrap around the image's borders, so that the halo of a
            tile there goes on at the opposite border.
    """

    side: int
    halo: int
    grid: int
    passes: int
    wraps: bool = False

    def cores(self, height: int, width: int) -> list[Core]:
        """Return the cores of the tiles of an image, row by row."""
        return Core(0, 0, height, width).split(self.side, self.grid)

    def cut(self, core: Core, whole: tuple[int, int], statistics: Statistics) -> Cut:
        """Return the tile around a core.

        Args:
            core: Starts on the grid.
            whole: Height and width of the image.
            statistics: Shared by all tiles of the image.
        """
        rows = self._bands(core.top, core.height, whole[0])
        columns = self._bands(core.left, core.width, whole[1])
        view = TileView(
            whole=whole,
            origin=(_origin(rows, core.top), _origin(columns, core.left)),
            size=(_length(rows), _length(columns)),
            core_origin=(core.top, core.left),
            core_size=(core.height, core.width),
            statistics=statistics,
        )
        return Cut(rows, columns, view)

    def _bands(self, start: int, length: int, whole: int) -> tuple[slice, ...]:
        """Return what a tile covers along one axis, halo included, in the order of the image.

        Where the halo goes on at the opposite border, there are two bands. Side by side in their
        order, their outer ends are the image's borders: they are padded as the whole image is, and
        windows wrap from one to the other. Where they meet, neighbours are wrong ones, but that is
        a halo away from the core.
        """
        halo = _ceil(self.halo, self.grid)
        first, end = start - halo, start + length + halo
        middle = slice(max(first, 0), min(end, whole))
        if not self.wraps:
            return (middle,)
        padded = _ceil(whole, self.grid)  # as the network will
        end = start + _ceil(length, self.grid) + halo
        if end - first >= padded:
            return (slice(0, whole),)
        if first < 0:
            return (middle, slice(padded + first, whole))
        if end > padded:
            return (slice(0, end - padded), middle)
        return (middle,)

    def halved(self) -> Tiling | None:
        """Return a tiling of half the side, or None where tiles cannot be smaller."""
        cells = self.side // self.grid
        return replace(self, side=cells // 2 * self.grid) if cells > 1 else None


@dataclass(frozen=True)
class Cut:
    """A tile: bands of rows and of columns of an image, and what it knows of the rest."""

    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    view: TileView

    def of(self, image: Cuttable) -> Tensor:
        """Return the tile's pixels, (N, 3, h, w)."""
        bands = [
            _joined([image[..., rows, columns] for columns in self.columns], -1)
            for rows in self.rows
        ]
        return _joined(bands, -2)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _ceil(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _length(bands: tuple[slice, ...]) -> int:
    return sum(band.stop - band.start for band in bands)


def _origin(bands: tuple[slice, ...], start: int) -> int:
    """Return where in the image a tile would have to begin for its core to lie at `start`."""
    before, last = bands[:-1], bands[-1]
    if start < last.start:  # the core lies in the first of two, which is the image's beginning
        return 0
    return last.start - _length(before)


def run_tiled(
    network: Enlarges,
    image: Cuttable,
    tiling: Tiling,
    write: Callable[[tuple[int, int], Tensor], None],
    advance: Callable[[int], object] = lambda _pixels: None,
) -> Tiling:
    """Run a network over an image tile by tile.

    Where a tile does not fit the memory, it and all after it are halved. Nothing of a tile is
    written or averaged before all of it is computed.

    Args:
        network: In evaluation mode, or what runs it.
        image: (N, 3, H, W), RGB in [0, 1], on the network's device; or what gives its pieces.
        tiling: How to cut.
        write: Receives the position (top, left) in the output and the pixels (N, 3, h, w) of each
            finished tile, in HR pixels.
        advance: Called after each tile of each pass with the LR pixels that need no more work.

    Returns:
        The tiling that the memory allowed in the end.

    Raises:
        OutOfMemoryError: The smallest possible tile does not fit the memory.
    """
    height, width = image.shape[-2:]
    statistics = Statistics()

    def gather(view: TileView, _output: Tensor) -> None:
        advance(view.core_size[0] * view.core_size[1])

    def finish(view: TileView, output: Tensor) -> None:
        top, left = view.core_origin
        write((top * network.scale, left * network.scale), _core(output, view, network.scale))
        advance(view.core_size[0] * view.core_size[1])

    for gathered in range(1, tiling.passes + 1):
        tiling = _visit(network, image, tiling, statistics, gather)
        if not statistics.advance():
            advance((tiling.passes - gathered) * height * width)
            break
    return _visit(network, image, tiling, statistics, finish)


def _visit(
    network: Enlarges,
    image: Cuttable,
    tiling: Tiling,
    statistics: Statistics,
    done: Callable[[TileView, Tensor], None],
) -> Tiling:
    """Run a network over every tile once; return the tiling that the memory allowed."""
    height, width = image.shape[-2:]
    waiting = deque(tiling.cores(height, width))
    while waiting:
        core = waiting.popleft()
        if max(core.height, core.width) > tiling.side:
            waiting.extendleft(reversed(core.split(tiling.side, tiling.grid)))
            continue
        cut = tiling.cut(core, (height, width), statistics)
        output = run_if_fits(lambda tile: _run(network, image, tile), cut)
        if output is not None:
            done(cut.view, output)
        elif (smaller := tiling.halved()) is not None:
            tiling = smaller
            waiting.appendleft(core)
        else:
            raise OutOfMemoryError(
                f"Not even a tile of {core.height}x{core.width} pixels with a halo of "
                f"{tiling.halo} fits the memory; close other programs, or take a smaller network"
            )
    return tiling


def run_if_fits(run: Callable[[Argument], Tensor], argument: Argument) -> Tensor | None:
    """Return what `run` returns, or None where the memory does not suffice for it.

    The error is gone when this returns, and with it all that its traceback held in memory.
    """
    try:
        return run(argument)
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not _is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    return None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is short; allocators of CPU and MPS have no type for it."""
    typed = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return typed or any(words in str(error) for words in SHORT_OF_MEMORY)


def enlarged_by(network: Enlarges, image: Tensor) -> Tensor:
    """Return a network's output for an image (N, 3, H, W).

    Raises:
        OptionError: It is of another size than the network's scale says.
    """
    output = network(image)
    expected = tuple(side * network.scale for side in image.shape[-2:])
    if tuple(output.shape[-2:]) != expected:
        raise OptionError(
            f"The network says that it enlarges by {network.scale}, which makes (height, width) = "
            f"{expected} of {tuple(image.shape[-2:])}, and it gave {tuple(output.shape[-2:])}; set "
            "its scale to what its layers do"
        )
    return output


def _run(network: Enlarges, image: Cuttable, cut: Cut) -> Tensor:
    with cut.view.active():
        return enlarged_by(network, cut.of(image))


def _core(output: Tensor, view: TileView, scale: int) -> Tensor:
    top = (view.core_origin[0] - view.origin[0]) * scale
    left = (view.core_origin[1] - view.origin[1]) * scale
    height, width = (side * scale for side in view.core_size)
    return output[..., top : top + height, left : left + width]


@torch.inference_mode()
def measure_halo(network: SRNetwork, grid: int, *, wraps: bool = False) -> int:
    """Measure how far, in LR pixels, an input pixel reaches in a network's output.

    Marks one column of the image as not-a-number and looks which columns of the output become so:
    that needs no look inside the network and no luck with its weights. Statistics over the whole
    image are held fixed. Pooled cells that are resized back drift against their pixels, the more
    the further right and the more pixels the width leaves over behind the last cell; so the image
    is made wide, the width that reaches furthest is looked for, and then every phase of the grid
    is tried towards both ends. Few cells share what is left over among them and see more pixels
    each, so the narrowest images that reach further than that are tried too. Where windows wrap
    around, nothing drifts, and every phase is tried in the middle.

    Args:
        network: Its weights and widths do not matter; it is copied, not changed. No pixel of it may
            attend to the whole image.
        grid: As in its `ArchSpec`.
        wraps: Likewise.

    Returns:
        The largest distance between an output pixel and an LR pixel that can change it.
    """
    # on the CPU convolutions multiply what lies under the kernel and nothing else, while algorithms
    # of other devices mix in neighbours with a weight of zero, which NaN would reveal
    network = copy_of(network).eval().cpu().float()
    measure = _reach_in_the_middle if wraps else _reach_towards_ends
    width = 64
    while (reach := measure(network, grid, width)) is None:
        width *= 2
    return reach


def _reach_in_the_middle(network: SRNetwork, grid: int, width: int) -> int | None:
    """Measure the reach away from the borders of an image, about twice as wide as the width."""
    middle = _ceil(width, grid)
    reach = _reach(network, 2 * middle + grid, range(middle, middle + grid))
    return None if reach >= middle else reach


def _reach_towards_ends(network: SRNetwork, grid: int, width: int) -> int | None:
    """Measure the reach in an image of about this width; None if its borders cut it off."""
    room = width // 2 if grid == 1 else width // 8  # without a grid nothing drifts
    reach = _reach(network, width, [width // 2])
    if reach + grid >= room:
        return None
    if grid == 1:
        return reach
    near_end = width - room
    width = max(range(width, width + grid), key=lambda w: _reach(network, w, [near_end]))
    columns = [start + phase for start in (room, near_end) for phase in range(grid)]
    reach = _reach(network, width, columns)
    return None if reach + grid >= room else _reach_in_narrow_images(network, grid, reach)


def _reach_in_narrow_images(network: SRNetwork, grid: int, reach: int) -> int:
    """Measure the reach in images hardly wider than what is reached in wide ones."""
    first = _ceil(reach + 2, grid) - 1  # as many pixels as can be are left over
    widths = range(first, first + NARROW * grid, grid)
    return max(reach, *(_reach(network, width, range(width)) for width in widths))


def _reach(network: SRNetwork, width: int, columns: Iterable[int]) -> int:
    """Return how far the furthest-reaching of some columns reaches in an image of this width."""
    height = 16
    image = torch.rand(1, 3, height, width)
    view = TileView((height, width), (0, 0), (height, width), (0, 0), (height, width))
    with view.active():
        network(image)
    view.statistics.advance()
    averages = view.statistics.averages
    furthest = 0
    for column in columns:
        marked = image.clone()
        marked[..., column] = torch.nan
        view.statistics = Statistics(averages)
        with view.active():
            touched = network(marked).isnan().flatten(0, 2).any(0).nonzero().flatten()
        distance = (touched // network.scale - column).abs().max()
        furthest = max(furthest, int(distance))
    return furthest
