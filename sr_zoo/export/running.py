"""An exported file that is open, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sr_zoo.export.facts import Facts


@dataclass(frozen=True)
class Opened:
    """A file ready to run.

    Attributes:
        run: Takes (N, 3, H, W), float32 on the CPU, RGB in [0, 1]; returns the enlarged images.
        facts: What the file says of its network.
    """

    run: Callable[[Tensor], Tensor]
    facts: Facts
