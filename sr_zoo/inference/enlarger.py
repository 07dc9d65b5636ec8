"""One run of a network over RGB: whole where the memory allows it, else tile by tile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from sr_zoo.dynamic import DynamicNetwork
from sr_zoo.inference.budget import BudgetRunner
from sr_zoo.inference.ensemble import self_ensemble
from sr_zoo.inference.pixels import clamp, empty_rgb
from sr_zoo.inference.plan import Planner
from sr_zoo.inference.runtimes import Choice
from sr_zoo.inference.tiling import Cuttable, Tiling, enlarged_by, run_if_fits, run_tiled
from sr_zoo.network import SRNetwork, device_of
from sr_zoo.progress import unwatched


class Enlarger:
    """Enlarges RGB by the factor of a network, running it once over each image.

    Args:
        network: In evaluation mode, on the device it runs on.
        runners: What runs it.
        tile: Side of the tiles in LR pixels, ``"auto"`` to fit the memory, None for never.
        exact_passes: As for `Planner`.
        turned: Whether to average over the flips and rotations of each image.
    """

    def __init__(
        self,
        network: SRNetwork,
        runners: Choice,
        tile: int | str | None,
        *,
        exact_passes: int | None,
        turned: bool,
    ) -> None:
        self._network, self._turned = network, turned
        self.runners = runners
        whole = runners.whole
        self._spender = whole if isinstance(whole, BudgetRunner) else None
        gathers = runners.tiled.sees_views and not self._spender
        self._planner = Planner(network, tile, exact_passes=exact_passes, gathers=gathers)

    def __call__(self, rgb: Tensor, *, progress: bool = False) -> Tensor:
        """Enlarge images.

        Args:
            rgb: (N, 3, H, W), floating point in [0, 1], on any device.
            progress: Whether to show a progress bar when an image takes several tiles.

        Returns:
            (N, 3, s*H, s*W), float32 in [0, 1], on the CPU.
        """
        batch, _, height, width = rgb.shape
        if batch == 1:
            return self._one(rgb, progress)
        factor = self._network.scale
        out = empty_rgb(batch, height * factor, width * factor)
        for index, image in enumerate(rgb.split(1)):
            out[index : index + 1] = self._one(image, progress)
        return out

    def _one(self, rgb: Tensor, progress: bool) -> Tensor:
        image = rgb.to(device_of(self._network), torch.float32)
        if not self._turned:
            return clamp(self._run(image, progress))

        def fill(turned: Tensor, result: Tensor) -> None:
            result.copy_(self._run(turned, progress))

        height, width = (side * self._network.scale for side in image.shape[-2:])
        out = empty_rgb(1, height, width)
        self_ensemble(fill, image, out)
        return clamp(out)

    def _run(self, image: Tensor, progress: bool) -> Tensor:
        """Return the network's output for one image, on the CPU."""
        height, width = image.shape[-2:]
        by_itself = isinstance(self._network, DynamicNetwork) and self._network.tiles_itself
        tiling = None if self._spender and by_itself else self._planner.plan(height, width)
        if tiling is None:
            if self._spender is not None:
                self._spender.start(height, width)
            whole = run_if_fits(partial(enlarged_by, self.runners.whole), image)
            if whole is not None:
                return whole.cpu()
            tiling = self._planner.smaller(height, width)
        out = empty_rgb(1, height * self._network.scale, width * self._network.scale)
        total = height * width * (tiling.passes + 1)
        hidden = not progress or unwatched()
        with tqdm(total=total, unit="px", unit_scale=True, disable=hidden) as bar:

            def write(corner: tuple[int, int], pixels: Tensor) -> None:
                top, left = corner
                rows, columns = pixels.shape[-2:]
                out[..., top : top + rows, left : left + columns] = pixels

            self.run_tiled(image, tiling, write, bar.update)
        return out

    def run_tiled(
        self,
        image: Cuttable,
        tiling: Tiling,
        write: Callable[[tuple[int, int], Tensor], None],
        advance: Callable[[int], object],
    ) -> None:
        """Run the network once, tile by tile; see `sr_zoo.inference.tiling.run_tiled`."""
        if self._spender is not None:
            self._spender.start(image.shape[-2], image.shape[-1])
        attends = self._planner.locality.attends
        if attends or not self.runners.exact:
            cause = (
                "its pixels attend to others all over the image"
                if attends
                else f"{self.runners.tiled.name} takes each tile for a whole image"
            )
            warnings.warn(
                "Tiles of this network come out otherwise than the image in one piece, since "
                f"{cause}; edges of tiles may show, tile=None (--tile off) avoids them",
                RuntimeWarning,
                stacklevel=2,
            )
        allowed = run_tiled(self.runners.tiled, image, tiling, write, advance)
        if allowed.side < tiling.side:
            self._planner.remember(allowed)

    def tiling(self) -> Tiling:
        """Return how images that are too large for one piece are cut, as far as is known by now.

        Raises:
            OptionError: Nothing is known of the network.
        """
        return self._planner.tiling()
