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
    file.write(image_header(picture.size, 16, color_type))
    metadata = picture.metadata
    if metadata.icc:
        file.write(chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        per_metre = (round(value * INCHES_PER_METRE) for value in metadata.dpi)
        file.write(chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if metadata.exif:
        file.write(chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0")))
    if metadata.xmp:
        file.write(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    packer = zlib.compressobj(6)
    previous = np.zeros((1, 0), np.uint8)
    for top in range(0, height, ROWS_AT_ONCE):
        rows = _rows(picture, top)
        above = np.concatenate([previous if top else np.zeros_like(rows[:1]), rows[:-1]])
        if packed := packer.compress(_filtered(rows, above, rows.shape[1] // width)):
            file.write(chunk(b"IDAT", packed))
        previous = rows[-1:]
    file.write(chunk(b"IDAT", packer.flush()))
    file.write(chunk(b"IEND", b""))


def image_header(size: tuple[int, int], bits: int, color_type: int) -> bytes:
    """Return the chunk that says height and width, depth and kind of the pixels."""
    height, width = size
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def unfiltered(samples: Array) -> bytes:
    """Return rows (n, width, channels) of uint8 or uint16 as a PNG stores them, as they are."""
    stored = samples.astype(samples.dtype.newbyteorder(">"), order="C", copy=False)
    rows = stored.view(np.uint8).reshape(len(samples), -1)
    lines = np.zeros((len(rows), rows.shape[1] + 1), np.uint8)
    lines[:, 1:] = rows
    return lines.tobytes()


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
