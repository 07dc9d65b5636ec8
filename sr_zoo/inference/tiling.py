"""Cutting an image into tiles that come out as they would in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sr_zoo.blocks import TileView
from sr_zoo.blocks.tile_view import Statistics
from sr_zoo.network import SRNetwork


class Enlarges(Protocol):
    """A network, or a program that stands for one."""

    scale: int

    def __call__(self, image: Tensor, /) -> Tensor:
        """Enlarge (N, 3, H, W), RGB in [0, 1]."""


@dataclass(frozen=True)
class Tiling:
    """How an image is cut.

    Attributes:
        side: Sides of a tile's core in LR pixels, the part that is kept; a multiple of `grid`.
        halo: LR pixels around the core that the network also sees, cut off afterwards.
        grid: Tiles start on multiples of this.
        passes: How often the image is first run through for its statistics; 0 leaves each tile
            its own.
    """

    side: int
    halo: int
    grid: int
    passes: int

    def views(self, height: int, width: int) -> list[TileView]:
        """Return the view of each tile of an image, row by row; they share their statistics."""
        statistics = Statistics()
        return [
            TileView(
                whole=(height, width),
                origin=(vertical[0], horizontal[0]),
                size=(vertical[1], horizontal[1]),
                core_origin=(vertical[2], horizontal[2]),
                core_size=(vertical[3], horizontal[3]),
                statistics=statistics,
            )
            for vertical in self._spans(height)
            for horizontal in self._spans(width)
        ]

    def _spans(self, length: int) -> list[tuple[int, int, int, int]]:
        """Return origin and size of each tile along one axis, with halo and without."""
        halo = -(-self.halo // self.grid) * self.grid
        spans = []
        for start in range(0, length, self.side):
            end = min(start + self.side, length)
            first, last = max(start - halo, 0), min(end + halo, length)
            spans.append((first, last - first, start, end - start))
        return spans


def run_tiled(
    network: Enlarges,
    image: Tensor,
    tiling: Tiling,
    write: Callable[[tuple[int, int], Tensor], None],
    advance: Callable[[], object] = lambda: None,
) -> None:
    """Run a network over an image tile by tile.

    Args:
        network: In evaluation mode, or what runs it.
        image: (N, 3, H, W), RGB in [0, 1], on the network's device.
        tiling: How to cut.
        write: Receives the position (top, left) in the output and the pixels (N, 3, h, w) of each
            finished tile, in HR pixels.
        advance: Called after each tile of each pass.
    """
    views = tiling.views(image.shape[-2], image.shape[-1])
    for _ in range(tiling.passes):
        for view in views:
            _run(network, image, view)
            advance()
        views[0].statistics.advance()
    for view in views:
        write(
            (view.core_origin[0] * network.scale, view.core_origin[1] * network.scale),
            _core(_run(network, image, view), view, network.scale),
        )
        advance()


def _run(network: Enlarges, image: Tensor, view: TileView) -> Tensor:
    top, left = view.origin
    height, width = view.size
    with view.active():
        return network(image[..., top : top + height, left : left + width])


def _core(output: Tensor, view: TileView, scale: int) -> Tensor:
    top = (view.core_origin[0] - view.origin[0]) * scale
    left = (view.core_origin[1] - view.origin[1]) * scale
    height, width = (side * scale for side in view.core_size)
    return output[..., top : top + height, left : left + width]


@torch.inference_mode()
def measure_halo(network: SRNetwork, grid: int) -> int:
    """Measure how far, in LR pixels, an input pixel reaches in a network's output.

    Marks one column of the image as not-a-number and looks which columns of the output become so:
    that needs no look inside the network and no luck with its weights. Statistics over the whole
    image are held fixed. Pooled cells that are resized back drift against their pixels, the more
    the further right and the more pixels the width leaves over behind the last cell; so the image
    is made wide, the width that reaches furthest is looked for, and then every phase of the grid
    is tried towards both ends.

    Args:
        network: Its weights and widths do not matter; it is copied, not changed.
        grid: As in its `ArchSpec`.

    Returns:
        The largest distance between an output pixel and an LR pixel that can change it.
    """
    # on the CPU convolutions multiply what lies under the kernel and nothing else, while algorithms
    # of other devices mix in neighbours with a weight of zero, which NaN would reveal
    network = deepcopy(network).eval().cpu().float()
    width = 64
    while (reach := _reach_towards_ends(network, grid, width)) is None:
        width *= 2
    return reach


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
    return None if reach + grid >= room else reach


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
