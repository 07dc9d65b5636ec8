"""A picture in memory: pixels, transparency, and what else its file said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sr_zoo.errors import ImageFormatError
from sr_zoo.imaging.exif import fit_exif

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]

DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
LARGEST_DPI = 65535  # of the 16 bits that JPEG has for it
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's own conversion to grey


@dataclass(frozen=True)
class Metadata:
    """What a file says besides its pixels.

    Attributes:
        icc: Colour profile of the pixels.
        exif: EXIF block; its orientation is already applied to the pixels and reset to 1.
        xmp: XMP packet, its orientation reset likewise.
        dpi: Pixels per inch along x and y.
        format: Pillow's name of the format that the picture was read from.
        mode: Pillow's name of the pixel layout in the file, such as ``P`` or ``CMYK``.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    format: str | None = None
    mode: str | None = None

    def stripped(self) -> Metadata:
        """Return the metadata without what may tell of people and places."""
        return replace(self, exif=None, xmp=None)

    def resized(self, old: tuple[int, int], new: tuple[int, int]) -> Metadata:
        """Return what is true after resizing, so that a print keeps its size.

        Args:
            old: Height and width before.
            new: Height and width after.
        """
        density = (new[1] / old[1], new[0] / old[0])
        exif = self.exif and fit_exif(self.exif, width=new[1], height=new[0], density=density)
        dpi = self.dpi and (self.dpi[0] * density[0], self.dpi[1] * density[1])
        return replace(self, exif=exif, dpi=usable_dpi(dpi))


def usable_dpi(dpi: Any) -> tuple[float, float] | None:
    """Return a resolution if it is two positive numbers that every format can state."""
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    horizontal, vertical = float(dpi[0]), float(dpi[1])
    usable = 0 < horizontal <= LARGEST_DPI and 0 < vertical <= LARGEST_DPI
    return (horizontal, vertical) if usable else None


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels of one image; grey stays grey, and the type alone says the bit depth.

    Attributes:
        pixels: (H, W, 1) grey or (H, W, 3) RGB, of uint8 (white is 255), uint16 (65535) or
            float32 (1.0, brighter values allowed).
        alpha: (H, W) straight opacity of the same type, or None where everything is opaque.
        metadata: What the file said besides.
    """

    pixels: Array
    alpha: Array | None = None
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        if self.pixels.dtype not in DTYPES:
            raise ImageFormatError(
                f"pixels of type {self.pixels.dtype} are not supported: "
                "convert them to uint8, uint16 or float32"
            )
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3) or not self.pixels.size:
            raise ImageFormatError(
                f"pixels of shape {self.pixels.shape} are not supported: "
                "they must be (height, width, 1) or (height, width, 3), at least 1x1"
            )
        if self.alpha is not None and (
            self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != self.pixels.dtype
        ):
            raise ImageFormatError(
                f"alpha of shape {self.alpha.shape} and type {self.alpha.dtype} does not belong "
                f"to pixels of shape {self.pixels.shape} and type {self.pixels.dtype}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def is_grey(self) -> bool:
        return self.pixels.shape[2] == 1

    @property
    def is_opaque(self) -> bool:
        """Whether nothing shines through anywhere."""
        if self.alpha is None:
            return True
        white = 1.0 if self.alpha.dtype == np.float32 else np.iinfo(self.alpha.dtype).max
        return bool((self.alpha >= white).all())

    def to_rgb(self) -> Floats:
        """Return the colours as (H, W, 3), nominally in [0, 1]; grey is repeated."""
        rgb = _to_float(self.pixels)
        return np.repeat(rgb, 3, axis=2) if self.is_grey else rgb

    def to_alpha(self) -> Floats | None:
        """Return the opacity as (H, W) in [0, 1], or None where everything is opaque."""
        return None if self.alpha is None else _to_float(self.alpha)

    def with_rgb(self, rgb: Array, alpha: Array | None) -> Picture:
        """Return the picture with other colours, in this picture's own type and number of channels.

        Args:
            rgb: Floats (H', W', 3) with black 0 and white 1; integer types clip and round them.
            alpha: Floats (H', W'), required exactly where this picture has an alpha.

        Raises:
            ImageFormatError: An alpha is missing, or there is one too many.
        """
        if (alpha is None) != (self.alpha is None):
            given, own = ("none" if a is None else "one" for a in (alpha, self.alpha))
            raise ImageFormatError(f"expected an alpha as the picture has {own}, got {given}")
        if self.is_grey:
            rgb = (rgb @ LUMA)[
                ..., np.newaxis
            ]  # double precision: equal channels come back exactly
        dtype = self.pixels.dtype
        return Picture(
            _from_float(rgb, dtype),
            None if alpha is None else _from_float(alpha, dtype),
            self.metadata.resized(self.size, (rgb.shape[0], rgb.shape[1])),
        )

    def with_dtype(self, dtype: DTypeLike) -> Picture:
        """Return the picture at another bit depth, rounded to the nearest value."""
        dtype = np.dtype(dtype)
        if dtype == self.pixels.dtype:
            return self
        alpha = self.to_alpha()
        return replace(
            self,
            pixels=_from_float(_to_float(self.pixels), dtype),
            alpha=None if alpha is None else _from_float(alpha, dtype),
        )

    def without_alpha(self, background: float = 1.0) -> Picture:
        """Return the picture laid over a grey background (0 black, 1 white)."""
        if self.alpha is None:
            return self
        opacity = _to_float(self.alpha)[..., np.newaxis]
        blended = _to_float(self.pixels) * opacity + background * (1 - opacity)
        return replace(self, pixels=_from_float(blended, self.pixels.dtype), alpha=None)


def _to_float(values: Array) -> Floats:
    if values.dtype == np.float32:
        return values
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


def _from_float(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype == np.float32:
        return values.astype(np.float32)
    white = np.iinfo(dtype).max
    return np.rint(np.clip(values, 0, 1) * white).astype(dtype)
