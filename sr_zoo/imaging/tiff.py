"""TIFF of the kinds that Pillow leaves out: floats in colour, deep planes, 16 bits with alpha."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate
from math import inf, prod
from struct import Struct
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image
from PIL import TiffTags as Types
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from sr_zoo.errors import ImageReadError, ImageWriteError
from sr_zoo.imaging.deep import unmultiplied
from sr_zoo.imaging.exif import ORIENTATION
from sr_zoo.imaging.picture import Array, Metadata, Picture, usable_dpi
from sr_zoo.imaging.pil import DESCRIPTIVE_TAGS, descriptive, upright

BIG_LITTLE_ENDIAN, BIG_BIG_ENDIAN = b"II+\0", b"MM\0+"
SIGNATURES = (b"II*\0", b"MM\0*", BIG_LITTLE_ENDIAN, BIG_BIG_ENDIAN)
HEADER = b"II*\0\x08\0\0\0"
OFFSET, MAX_OFFSET = Struct("<L"), 2**32 - 1
BIG_OFFSET = Struct("<Q")
ENTRY_COUNT, ENTRY = 2, 12  # bytes
BITS, PHOTOMETRIC, PLANES = 258, 262, 284
DEFLATE, HORIZONTAL_DIFFERENCES, INCH, CENTIMETRE = 8, 2, 2, 3
WHITE_IS_ZERO, SEPARATE, PREMULTIPLIED, STRAIGHT_ALPHA = 0, 2, 1, 2
COLOR_CHANNELS = {0: 1, 1: 1, 2: 3}  # by photometric interpretation
STRIP_BYTES = 1 << 18
MAX_CHANNELS = 5
MAX_COMPRESSION = 4000  # times; LZW, which packs constant areas best, reaches fewer


def misread_by_pillow(image: ImageFile) -> bool:
    """Whether Pillow would return wrong pixels: deep ones in planes, of 12 bits, or inverted."""
    bits = depth_of(image)
    if bits <= 8 or not isinstance(image, TiffImageFile):
        return False
    inverted = image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    return inverted or bits == 12 or image.tag_v2.get(PLANES) == SEPARATE


def depth_of(image: ImageFile) -> int:
    """Return the bits of a TIFF file's samples; 0 for files of other formats."""
    return max(image.tag_v2.get(BITS, (1,))) if isinstance(image, TiffImageFile) else 0


def read_with_tifffile(data: bytes) -> Picture:
    """Read the first page of a TIFF file of a kind that Pillow does not know, or reads wrongly.

    Raises:
        ImageReadError: tifffile is not installed, or the samples are no colours.
    """
    try:
        import tifffile
    except ImportError:
        raise ImageReadError(
            "is a kind of TIFF that needs another library: pip install 'sr_zoo[tiff]'"
        ) from None
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages.first
        if prod(page.shape) > MAX_CHANNELS * 2 * (Image.MAX_IMAGE_PIXELS or inf):
            raise Image.DecompressionBombError(f"{page.shape} samples")
        if prod(page.shape) * page.bitspersample > 8 * MAX_COMPRESSION * len(data):
            raise ImageReadError(f"is damaged: it cannot hold the {page.shape} samples it claims")
        samples = np.atleast_3d(page.asarray())
    if page.planarconfig == SEPARATE and page.samplesperpixel > 1:
        samples = np.moveaxis(samples, 0, 2)
    channels = COLOR_CHANNELS.get(int(page.photometric), 0)
    if samples.ndim != 3 or channels == 0 or samples.shape[2] < channels:
        raise ImageReadError(f"is a TIFF of {page.photometric.name} {page.shape}, not grey or RGB")
    samples = _at_full_depth(samples, page.bitspersample)
    pixels, alpha = samples[..., :channels], None
    if page.photometric == WHITE_IS_ZERO:
        pixels = _white(pixels) - pixels
    if page.extrasamples and page.extrasamples[0] in (PREMULTIPLIED, STRAIGHT_ALPHA):
        alpha = np.ascontiguousarray(samples[..., channels])
        if page.extrasamples[0] == PREMULTIPLIED:
            pixels = _unmultiplied(pixels, alpha)
    return _described(data, Picture(np.ascontiguousarray(pixels), alpha))


def _at_full_depth(samples: Array, bits: int) -> Array:
    """Return samples in one of the types of pictures, at a scale at which white is its largest."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype.kind != "u" or bits not in (8, 12, 16):
        raise ImageReadError(
            f"is a TIFF of {bits}-bit integers, of which nothing says what is white; convert it to "
            "8 or 16 bits, or to floats in [0, 1]"
        )
    return samples << 4 | samples >> 8 if bits == 12 else samples.astype(f"u{bits // 8}")


def _white(samples: Array) -> Any:
    return samples.dtype.type(1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max)


def _unmultiplied(pixels: Array, alpha: Array) -> Array:
    if pixels.dtype.kind == "u":
        return unmultiplied(pixels, alpha)
    return pixels / np.where(alpha > 0, alpha, 1).astype(np.float32)[..., np.newaxis]


def _described(data: bytes, picture: Picture) -> Picture:
    """Give a picture the metadata in a TIFF file's tags."""
    tags = _tags_of(data)
    unit = {INCH: 1.0, CENTIMETRE: 2.54}.get(tags.get(296, INCH), 0.0)
    icc, xmp = tags.get(34675), tags.get(700)
    metadata = Metadata(
        icc=icc if isinstance(icc, bytes) else None,
        exif=descriptive(tags),
        xmp=xmp if isinstance(xmp, bytes) else None,
        dpi=usable_dpi((float(tags.get(282, 0)) * unit, float(tags.get(283, 0)) * unit)),
        format="TIFF",
    )
    return upright(replace(picture, metadata=metadata), tags.get(ORIENTATION, 1))


def _tags_of(data: bytes) -> Image.Exif:
    """Return the tags of a TIFF file's first page; none of what Pillow has no directories for."""
    tags = Image.Exif()
    if data.startswith(BIG_LITTLE_ENDIAN):
        tags.bigtiff, tags.endian = True, "<"
        tags.load_from_fp(io.BytesIO(data), *BIG_OFFSET.unpack_from(data, BIG_OFFSET.size))
    elif not data.startswith(BIG_BIG_ENDIAN):
        tags.load(data)
    return tags


def write(pictures: Iterable[Picture], file: BinaryIO) -> None:
    """Write pictures of any type with their metadata as pages, losslessly compressed.

    Raises:
        ImageWriteError: There is no picture, or the file would exceed what its offsets can say.
    """
    file.write(HEADER[: -OFFSET.size])
    link = file.tell()  # where it shall stand where the next page begins
    file.write(bytes(OFFSET.size))
    for picture in pictures:
        start = file.tell()
        directory, strips = _page(picture)
        tags = directory.tobytes(start)
        if start + len(tags) + sum(map(len, strips)) > MAX_OFFSET:
            raise ImageWriteError("TIFF holds at most 4 GB; write the pages to files of their own")
        file.write(tags)
        for strip in strips:
            file.write(strip)
        file.write(bytes(file.tell() % 2))  # pages begin at even offsets
        _link(file, link, start)
        link = start + ENTRY_COUNT + ENTRY * len(directory)
    if not file.tell() > len(HEADER):
        raise ImageWriteError("a TIFF needs at least one page")


def _link(file: BinaryIO, place: int, offset: int) -> None:
    end = file.tell()
    file.seek(place)
    file.write(OFFSET.pack(offset))
    file.seek(end)


def _page(picture: Picture) -> tuple[ImageFileDirectory_v2, list[bytes]]:
    """Return the directory of a picture and its compressed strips, which shall follow it."""
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
    return directory, strips


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
