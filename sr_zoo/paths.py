"""Paths as users give them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from reprlib import repr  # of what may be large

from sr_zoo.errors import OptionError


def as_path(given: object, name: str) -> Path:
    """Return a path that a user gave.

    Args:
        given: Text, or anything that stands for a path.
        name: Of the argument that it is.

    Raises:
        OptionError: It is none, such as a number or None.
    """
    if not isinstance(given, (str, PathLike)):
        raise OptionError(f"{name} must be a path, as text or as a pathlib.Path, got {repr(given)}")
    return Path(given)
