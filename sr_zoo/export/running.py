"""An exported file that is open, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor

from sr_zoo.errors import ExportError
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


def package(name: str, files: str, extra: str) -> Any:
    """Import what writes or runs files of a format; `Any`, since such packages have no annotations.

    Raises:
        ExportError: It is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(name)
    except ImportError:
        raise ExportError(
            f"{files} files need {name}, which is not installed: pip install 'sr_zoo[{extra}]'"
        ) from None
