"""The parts of TIFF that Pillow leaves out: 16 bits and floats in colour."""

from __future__ import annotations

import io
import zlib
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image
from PIL import TiffTags as Types
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from sr_zoo.imaging.picture import Array, Metadata, Picture
from sr_zoo.imaging.pil import DESCRIPTIVE_TAGS

HEADER = b"II*\0\x08\0\0\0"
DEFLATE, HORIZONTAL_DIFFERENCES, INCH, STRAIGHT_ALPHA = 8, 2, 2, 2
STRIP_BYTES = 1 << 18
DEPTHS_BY_MODE = ("RGB;16", "RGBA;16", "RGBX;16", "RGBa;16")


def is_16_bit_color(image: ImageFile) -> bool:
    """Whether Pillow would round this opened, not yet loaded TIFF image to 8 bits."""
    return image.format == "TIFF" and bool(image.tile) and _raw_mode(image)[:-1] in DEPTHS_BY_MODE


def read_16_bit_color(data: bytes) -> tuple[Array, Array | None, ImageFile]:
    """Return pixels and straight alpha of 16 bits, and the loaded image for its metadata.

    As with PNG, Pillow unpacks one byte of each sample, and the other one if told the wrong byte
    order.
    """
    image = _open(data)
    raw_mode = _raw_mode(image)
    premultiplied = raw_mode.startswith("RGBa")
    plain = raw_mode.replace("RGBa", "RGBA")
    big_endian = plain.endswith("B")
    _unpack_as(image, plain)
    high = np.array(image).astype(np.uint16)
    other = _open(data)
    _unpack_as(other, plain[:-1] + ("L" if big_endian else "B"))
    samples = high << 8 | np.array(other)
    if samples.shape[2] == 3:
        return samples, None, image
    pixels, alpha = samples[..., :3], samples[..., 3]
    if premultiplied:
        scale = 65535 / np.maximum(alpha, 1).astype(np.float64)
        pixels = np.rint(np.minimum(pixels * scale[..., np.newaxis], 65535)).astype(np.uint16)
    return pixels, alpha, image


def _open(data: bytes) -> ImageFile:
    return Image.open(io.BytesIO(data), formats=("TIFF",))


def _raw_mode(image: ImageFile) -> str:
    return str(_arguments(image.tile[0].args)[0])


def _unpack_as(image: ImageFile, raw_mode: str) -> None:
    image.tile = [tile._replace(args=(raw_mode, *_arguments(tile.args)[1:])) for tile in image.tile]


def _arguments(args: tuple[Any, ...] | str | None) -> tuple[Any, ...]:
    return args if isinstance(args, tuple) else (args,)


def write(picture: Picture, file: BinaryIO) -> None:
    """Write a picture of any type with its metadata, losslessly compressed."""
    samples = picture.pixels
    if picture.alpha is not None:
        samples = np.concatenate([samples, picture.alpha[..., np.newaxis]], axis=2)
    height, width, channels = samples.shape
    rows = max(STRIP_BYTES // (width * channels * samples.itemsize), 1)
    strips = [_packed(samples[top : top + rows]) for top in range(0, height, rows)]
    directory = ImageFileDirectory_v2(HEADER)
    lengths = [len(strip) for strip in strips]
    offsets = [0, *accumulate(lengths[:-1])]  # the directory adds where it ends itself
    floats = samples.dtype == np.float32
    tags: dict[int, Any] = {
        256: width,
        257: height,
        258: (8 * samples.itemsize,) * channels,
        259: DEFLATE,
        262: 1 if picture.is_grey else 2,
        273: tuple(offsets),
        277: channels,
        278: rows,
        279: tuple(lengths),
        317: 1 if floats else HORIZONTAL_DIFFERENCES,
        339: (3 if floats else 1,) * channels,
    }
    if picture.alpha is not None:
        tags[338] = STRAIGHT_ALPHA
    for tag, value in tags.items():
        directory[tag] = value
    directory.tagtype[273] = directory.tagtype[279] = Types.LONG
    _describe(directory, picture.metadata)
    file.write(HEADER)
    file.write(directory.tobytes(len(HEADER)))
    for strip in strips:
        file.write(strip)


def _packed(samples: Array) -> bytes:
    little_endian = samples.astype(samples.dtype.newbyteorder("<"))
    if samples.dtype != np.float32:
        little_endian[:, 1:] -= little_endian[:, :-1].copy()
    return zlib.compress(little_endian.tobytes(), 6)


def _describe(directory: ImageFileDirectory_v2, metadata: Metadata) -> None:
    if metadata.dpi:
        directory[282], directory[283] = metadata.dpi
        directory[296] = INCH
    if metadata.icc:
        directory[34675] = metadata.icc
        directory.tagtype[34675] = Types.UNDEFINED
    if metadata.xmp:
        directory[700] = metadata.xmp
        directory.tagtype[700] = Types.BYTE
    if not metadata.exif:
        return
    exif = Image.Exif()
    exif.load(metadata.exif)
    for tag in DESCRIPTIVE_TAGS:
        if tag in exif:
            directory[tag] = exif[tag]
    for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if entries := exif.get_ifd(tag):
            directory[tag] = dict(entries)
