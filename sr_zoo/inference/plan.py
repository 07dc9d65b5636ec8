"""Whether an image goes through the network in one piece, and how it is cut if not."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import inf

from sr_zoo.errors import OutOfMemoryError
from sr_zoo.inference.memory import CPU_BUDGET, SMALLEST_CORE, largest_core
from sr_zoo.inference.networks import Locality, locality
from sr_zoo.inference.tiling import Tiling
from sr_zoo.network import SRNetwork

# LR pixels. Where gathered averages leave a difference anyway, a wider halo costs time and changes
# nothing that can be seen: benchmarks/tiling.py shows what remains.
INEXACT_HALO = 64


class Planner:
    """Decides on tiles for a network, and learns what the memory holds.

    Args:
        network: On the device it will run on.
        tile: Side of the tiles in LR pixels, ``"auto"`` to fit the memory, None for never.
        exact_passes: For averages over the whole image; None for what brings them close.
        gathers: Whether tiles are run in a way that can gather them.
    """

    def __init__(
        self,
        network: SRNetwork,
        tile: int | str | None,
        *,
        exact_passes: int | None,
        gathers: bool,
    ) -> None:
        self._network, self._tile = network, tile
        self._exact_passes, self._gathers = exact_passes, gathers
        self._tiling: Tiling | None = None

    @cached_property
    def locality(self) -> Locality:
        """What tiles of the network need.

        Raises:
            OptionError: Nothing is known of the network.
        """
        return locality(self._network)

    @property
    def _halo(self) -> int:
        """LR pixels that tiles are given around their cores."""
        around = self.locality
        return min(around.halo, INEXACT_HALO) if around.averages else around.halo

    def plan(self, height: int, width: int) -> Tiling | None:
        """Return how to cut an image of this size, or None to run it in one piece."""
        if self._tile is None or (isinstance(self._tile, int) and max(height, width) <= self._tile):
            return None
        halo = self._halo
        if self._tile == "auto" and height * width <= (SMALLEST_CORE + 2 * halo) ** 2:
            return None  # no tile is smaller; looking at the memory takes longer than the image
        tiling = self.tiling()
        area = tiling.side + 2 * halo
        fits = (
            max(height, width) <= tiling.side
            if isinstance(self._tile, int)
            else (height * width <= area * area)
        )
        return None if fits else tiling

    def smaller(self, height: int, width: int) -> Tiling:
        """Return how to cut an image that the memory did not hold in one piece, from now on.

        Raises:
            OutOfMemoryError: Tiles are not allowed.
        """
        if self._tile is None:
            raise OutOfMemoryError(
                f"An image of {height}x{width} pixels does not fit the memory in one piece; "
                "allow tiles with tile='auto'"
            )
        tiling = self.tiling()
        cells = max(max(height, width) // 2 // tiling.grid, 1)
        # the next image of this size need not run out of memory again
        self.remember(replace(tiling, side=min(tiling.side, cells * tiling.grid)))
        return self.tiling()

    def remember(self, tiling: Tiling) -> None:
        """Cut images in this way from now on."""
        self._tiling = tiling

    def tiling(self) -> Tiling:
        """Return how images that are too large for one piece are cut, as far as is known by now.

        Raises:
            OptionError: Nothing is known of the network.
        """
        if self._tiling is None:
            around, halo = self.locality, self._halo
            if isinstance(self._tile, int):
                side = max(self._tile // around.grid, 1) * around.grid
            else:
                # a network whose tiles differ gets one piece, as long as that fits
                most = inf if around.attends else CPU_BUDGET
                side = largest_core(self._network, halo, around.grid, most=most)
            # a pass for the averages would cost as much as the budget itself
            gathers = around.averages and self._gathers
            passes = around.passes if self._exact_passes is None else self._exact_passes
            self._tiling = Tiling(side, halo, around.grid, passes * gathers, around.wraps)
        return self._tiling
