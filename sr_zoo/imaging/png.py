"""Writing PNG of 16 bits per channel, of which Pillow can only write opaque grey."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np

from sr_zoo.imaging.picture import Array, Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {(1, False): 0, (3, False): 2, (1, True): 4, (3, True): 6}
INCHES_PER_METRE = 1 / 0.0254
ROWS_AT_ONCE = 64


def write_16_bit(picture: Picture, file: BinaryIO) -> None:
    """Write a picture of uint16 with its metadata."""
    height, width = picture.size
    color_type = COLOR_TYPES[picture.pixels.shape[2], picture.alpha is not None]
    file.write(SIGNATURE)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))
    metadata = picture.metadata
    if metadata.icc:
        _chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        per_metre = (round(value * INCHES_PER_METRE) for value in metadata.dpi)
        _chunk(file, b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if metadata.exif:
        _chunk(file, b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if metadata.xmp:
        _chunk(file, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    packer = zlib.compressobj(6)
    previous = np.zeros((1, 0), np.uint8)
    for top in range(0, height, ROWS_AT_ONCE):
        rows = _rows(picture, top)
        above = np.concatenate([previous if top else np.zeros_like(rows[:1]), rows[:-1]])
        if packed := packer.compress(_filtered(rows, above, rows.shape[1] // width)):
            _chunk(file, b"IDAT", packed)
        previous = rows[-1:]
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind + content)
    file.write(struct.pack(">I", zlib.crc32(kind + content)))


def _rows(picture: Picture, top: int) -> Array:
    """Return some rows as the bytes of a PNG, (rows, bytes per row)."""
    samples = picture.pixels[top : top + ROWS_AT_ONCE]
    if picture.alpha is not None:
        alpha = picture.alpha[top : top + ROWS_AT_ONCE, :, np.newaxis]
        samples = np.concatenate([samples, alpha], axis=2)
    return samples.astype(">u2", order="C").view(np.uint8).reshape(len(samples), -1)


def _filtered(rows: Array, above: Array, pixel: int) -> bytes:
    """Subtract from each byte its neighbours, by whichever filter leaves the row smallest."""
    left, above_left = np.zeros_like(rows), np.zeros_like(rows)
    left[:, pixel:], above_left[:, pixel:] = rows[:, :-pixel], above[:, :-pixel]
    mean = ((left.astype(np.uint16) + above) // 2).astype(np.uint8)
    candidates = np.stack(
        [rows, rows - left, rows - above, rows - mean, rows - _paeth(left, above, above_left)]
    )
    cost = np.abs(candidates.view(np.int8).astype(np.int16)).sum(axis=2)
    best = cost.argmin(axis=0)
    lines = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    lines[:, 0] = best
    lines[:, 1:] = candidates[best, np.arange(len(rows))]
    return lines.tobytes()


def _paeth(left: Array, above: Array, above_left: Array) -> Array:
    """Return the one of three neighbours that is closest to left + above - above_left."""
    a, b, c = (values.astype(np.int16) for values in (left, above, above_left))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_b <= to_c, above, above_left)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, nearest)
