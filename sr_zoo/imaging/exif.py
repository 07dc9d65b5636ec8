"""Corrections of EXIF and XMP in place: all other bytes stay as the camera wrote them."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

PREFIX = b"Exif\0\0"
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, EXIF_IFD = 0x0112, 0x011A, 0x011B, 0x8769
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
SHORT, LONG, RATIONAL = 3, 4, 5
XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[2-8]")


@dataclass(frozen=True)
class _Entry:
    kind: int
    position: int  # of the entry's value field


class _Tags:
    """Tags that depend on size and orientation, found in a mutable copy of an EXIF block."""

    def __init__(self, exif: bytes) -> None:
        self.data = bytearray(exif)
        self.base = len(PREFIX) if exif.startswith(PREFIX) else 0
        self.order = {b"II": "<", b"MM": ">"}[bytes(self.data[self.base : self.base + 2])]
        (first,) = self._unpack("I", self.base + 4)
        (count,) = self._unpack("H", self.base + first)
        self.following = self.base + first + 2 + 12 * count  # where the thumbnail's tags are said
        self.multiplied: set[int] = set()  # where; several tags may share one number
        self.entries = self._directory(first)
        if EXIF_IFD in self.entries:
            (pointer,) = self._unpack("I", self.entries[EXIF_IFD].position)
            self.entries |= self._directory(pointer)

    def _unpack(self, layout: str, position: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + layout, self.data, position)

    def _directory(self, offset: int) -> dict[int, _Entry]:
        start = self.base + offset
        (count,) = self._unpack("H", start)
        entries = {}
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = self._unpack("HH", position)
            entries[tag] = _Entry(kind, position + 8)
        return entries

    def set_integer(self, tag: int, value: int) -> None:
        layout = {SHORT: "H", LONG: "I"}
        entry = self.entries.get(tag)
        if entry and entry.kind in layout and value < 256 ** struct.calcsize(layout[entry.kind]):
            struct.pack_into(self.order + layout[entry.kind], self.data, entry.position, value)

    def is_turned(self) -> bool:
        """Whether the pixels are not stored upright."""
        entry = self.entries.get(ORIENTATION)
        return bool(entry and entry.kind == SHORT and self._unpack("H", entry.position) != (1,))

    def unlink_thumbnail(self) -> None:
        end = self.following + 4
        self.data[self.following : end] = bytes(len(self.data[self.following : end]))

    def multiply_rational(self, tag: int, factor: float) -> None:
        entry = self.entries.get(tag)
        if entry is None or entry.kind != RATIONAL:
            return
        (pointer,) = self._unpack("I", entry.position)
        if pointer in self.multiplied:
            return
        self.multiplied.add(pointer)
        numerator, denominator = self._unpack("II", self.base + pointer)
        scaled = round(numerator * factor)
        if scaled < 2**32:
            position = self.base + pointer
            struct.pack_into(self.order + "II", self.data, position, scaled, denominator)


def fit_exif(
    exif: bytes, *, width: int, height: int, density: tuple[float, float] = (1.0, 1.0)
) -> bytes | None:
    """Make an EXIF block true again after the pixels were turned upright or resized.

    Args:
        exif: The block, with or without its ``Exif`` prefix.
        width: Of the picture as it is now, in pixels.
        height: Of the picture as it is now, in pixels.
        density: Factors on the pixels per inch along x and y.

    Returns:
        The block with its orientation reset to 1, without a thumbnail that lies on its side, or
        None if it is damaged.
    """
    try:
        tags = _Tags(exif)
        if tags.is_turned():  # so is the thumbnail, which viewers turn as they do the picture
            tags.unlink_thumbnail()
        tags.set_integer(ORIENTATION, 1)
        tags.set_integer(PIXEL_WIDTH, width)
        tags.set_integer(PIXEL_HEIGHT, height)
        tags.multiply_rational(X_RESOLUTION, density[0])
        tags.multiply_rational(Y_RESOLUTION, density[1])
    except (struct.error, KeyError):
        return None
    return bytes(tags.data)


def upright_xmp(xmp: bytes) -> bytes:
    """Reset the orientation that an XMP packet states, if it states one."""
    return XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
