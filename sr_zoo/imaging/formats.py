"""What each image file format can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sr_zoo.errors import ImageWriteError, did_you_mean
from sr_zoo.imaging.picture import DTYPES

UINT8, UINT16, FLOAT32 = DTYPES


@dataclass(frozen=True)
class Format:
    """An image file format that can be written.

    Attributes:
        name: Pillow's name.
        suffixes: File name endings, the usual one first.
        dtypes: Types of pixels, the shallowest first.
        alpha: Whether it holds partial opacity.
        grey: Whether it holds a single channel.
        profiles: Whether it holds an ICC profile.
        max_side: Largest width or height.
        lossy_quality: Quality from 1 to 100 if none is asked for; None where nothing is lost.
    """

    name: str
    suffixes: tuple[str, ...]
    dtypes: tuple[np.dtype[Any], ...] = (UINT8,)
    alpha: bool = True
    grey: bool = True
    profiles: bool = True
    max_side: int = 2**31 - 1
    lossy_quality: int | None = None

    def closest_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type in which this format keeps the most of pixels of type `dtype`."""
        return dtype if dtype in self.dtypes else self.dtypes[-1]


FORMATS = (
    Format("PNG", (".png", ".apng"), dtypes=(UINT8, UINT16)),
    Format(
        "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), alpha=False, max_side=65500, lossy_quality=95
    ),
    Format("WEBP", (".webp",), grey=False, max_side=16383, lossy_quality=95),
    Format("AVIF", (".avif",), grey=False, max_side=65536, lossy_quality=90),
    Format("TIFF", (".tif", ".tiff"), dtypes=(UINT8, UINT16, FLOAT32)),
    Format("BMP", (".bmp",), alpha=False, profiles=False),
    Format("GIF", (".gif",), profiles=False, max_side=65535),
)
BY_NAME = {format.name: format for format in FORMATS}
BY_SUFFIX = {suffix: format for format in FORMATS for suffix in format.suffixes}
READ_ONLY_SUFFIXES = (".mpo", ".dib", ".jp2", ".j2k", ".pgm", ".ppm", ".pnm")


def output_format(path: str | Path, format: str | None = None) -> Format:
    """Return the format to write: the one that is named, else the one of the file name's ending.

    Args:
        path: The file to be written.
        format: A name or an ending in any case, such as ``png``, ``.jpg`` or ``WEBP``.

    Raises:
        ImageWriteError: There is no such format, the ending says none, or the two contradict.
    """
    suffix = Path(path).suffix.lower()
    if format is not None:
        named = named_format(format)
        if BY_SUFFIX.get(suffix, named) != named:
            right = Path(path).with_suffix(named.suffixes[0]).name
            raise ImageWriteError(f"{path} does not end as {format} files do; name it {right}")
        return named
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    said = f"ends in {suffix!r}, which is no image format known" if suffix else "has no ending"
    raise ImageWriteError(f"{path}: the file name {said}; use one of {_endings()}")


def named_format(format: str) -> Format:
    """Return the format of this name or ending.

    Raises:
        ImageWriteError: There is none.
    """
    name = format.lower().removeprefix(".")
    found = BY_SUFFIX.get(f".{name}") or BY_NAME.get(name.upper())
    if found is None:
        names = [suffix[1:] for suffix in BY_SUFFIX]
        raise ImageWriteError(
            f"unknown image format {format!r};{did_you_mean(name, names)} use one of {_endings()}"
        )
    return found


def _endings() -> str:
    return ", ".join(format.suffixes[0] for format in FORMATS)


def format_like(name: str | None) -> Format:
    """Return the format that a file of Pillow's format `name` becomes: its own, else PNG."""
    # phones write several JPEGs into one file, for portraits and HDR
    return BY_NAME.get({"MPO": "JPEG", "DIB": "BMP"}.get(name or "", name or ""), BY_NAME["PNG"])
