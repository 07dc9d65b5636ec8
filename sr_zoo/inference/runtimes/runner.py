"""A network made ready to run: in PyTorch here, in other runtimes beside."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from sr_zoo.blocks.tile_view import current_view


class Runner(ABC):
    """Runs a network on images; made once, called often.

    Attributes:
        name: As `Upscaler` takes it for `runtime`.
        scale: Upscaling factor.
        sees_views: Whether a tile comes out as the whole image would have it. A compiled program
            holds the network for a whole image: in one of its tiles, averages and resized maps are
            those of the tile.
    """

    name: str
    scale: int
    sees_views: bool

    @abstractmethod
    def __call__(self, image: Tensor, /) -> Tensor:
        """Enlarge (N, 3, H, W), float32 on the network's device; float32 comes back."""

    def settle(self, image: Tensor, /) -> None:
        """Do by now what a runner does for one size when it has met it often, and run it once."""
        self(image)


class Guarded(Runner):
    """Runs a lower precision, and float32 where that overflows; says so the first time.

    Args:
        fast: What to run.
        exact: What to run where `fast` gives a value that is not finite.
        dtype: Of `fast`.
    """

    def __init__(self, fast: Runner, exact: Runner, dtype: torch.dtype) -> None:
        self.name, self.scale, self.sees_views = fast.name, fast.scale, fast.sees_views
        self._fast, self._exact = fast, exact
        self._dtype = str(dtype).removeprefix("torch.")
        self._warned = False

    def __call__(self, image: Tensor, /) -> Tensor:
        output = self._fast(image)
        if _is_finite(output):
            return output
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._dtype} overflows in this network; where it does, float32 is used",
                RuntimeWarning,
                stacklevel=2,
            )
        if view := current_view():
            view.restart()
        return self._exact(image)

    def settle(self, image: Tensor, /) -> None:
        self._fast.settle(image)


def _is_finite(values: Tensor) -> bool:
    """Whether all values are finite, told without a map by their sum."""
    if values.is_cpu:  # by NumPy: torch's threads spin for a while, beside another runtime's
        return bool(np.isfinite(values.numpy().sum()))
    return bool(values.sum().isfinite())
