"""Damage that decoders pass over in silence, leaving out frames or showing wrong pixels."""

from __future__ import annotations

import struct
import zlib
from textwrap import shorten

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GIF_SIGNATURES = (b"GIF87a", b"GIF89a")
GIF_EXTENSION, GIF_IMAGE, GIF_END = 0x21, 0x2C, 0x3B
TRUNCATED = "is truncated: its end is missing"
MAX_REASON = 120  # characters of a decoder's own words


def undecodable(error: Exception) -> str:
    """Say that a decoder gave up, in its own words as far as they are short."""
    said = shorten(str(error) or type(error).__name__, MAX_REASON, placeholder=" ...")
    return f"cannot be decoded, it is truncated or damaged ({said})"


def find_damage(data: bytes) -> str | None:
    """Return what is wrong with the outer structure of a file's bytes, or None.

    Knows PNG with its checksums, GIF and WebP; other files are left to their decoders.
    """
    if data.startswith(PNG_SIGNATURE):
        return _png_damage(data)
    if data.startswith(GIF_SIGNATURES):
        try:
            return _gif_damage(data)
        except IndexError:
            return TRUNCATED
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        (length,) = struct.unpack_from("<I", data, 4)
        return TRUNCATED if len(data) < length + 8 else None
    return None


def _png_damage(data: bytes) -> str | None:
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind, end = data[position + 4 : position + 8], position + 8 + length
        if end + 4 > len(data):
            break
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[position + 4 : end]) != checksum:
            name = kind.decode("ascii", "replace")
            return f"is damaged: the checksum of its {name!r} part is wrong"
        if kind == b"IEND":
            return None
        position = end + 4
    return TRUNCATED


def _gif_damage(data: bytes) -> str | None:
    position = 13 + _palette_bytes(data[10])
    while data[position] != GIF_END:
        if data[position] == GIF_EXTENSION:
            position = _after_blocks(data, position + 2)
        elif data[position] == GIF_IMAGE:
            minimum_code_size = position + 10 + _palette_bytes(data[position + 9])
            position = _after_blocks(data, minimum_code_size + 1)
        else:
            position += 1  # some writers pad
    return None


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += 1 + data[position]
    return position + 1
