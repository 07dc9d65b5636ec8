"""Reading image files of any common kind, or saying in one sentence why not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr  # of what may be large
from typing import BinaryIO, NamedTuple, TypeAlias

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from sr_zoo.errors import ImageFormatError, ImageReadError
from sr_zoo.imaging import deep, tiff
from sr_zoo.imaging.integrity import find_damage, undecodable
from sr_zoo.imaging.picture import Metadata, Picture
from sr_zoo.imaging.pil import assemble, from_pil, turn_resolution

# only formats with a signature, and none whose decoder starts another program, as EPS does
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "JPEG2000", "PPM")


class Loaded(NamedTuple):
    """The bytes of a file, for several readers to try, and what to call it in messages."""

    data: bytes
    name: str


Source: TypeAlias = str | Path | bytes | BinaryIO | Loaded


def read_image(source: Source) -> Picture:
    """Read an image file, of an animation the first frame, of several pages the first.

    Args:
        source: A path, the bytes of a file, an open binary file, or one that was loaded.

    Raises:
        ImageReadError: There is no such file, or it is damaged, or no image.
    """
    data, name = load(source)
    with decoding(name, data):
        return decode(data)


@contextmanager
def decoding(name: str, data: bytes) -> Iterator[None]:
    """Turn whatever decoders raise over a damaged file into one sentence that names it."""
    try:
        yield
    except Exception as error:  # decoders let out what they stumble over: any type there is
        raise ImageReadError(f"{name}: {_reason(error, data)}") from error


def load(source: Source) -> Loaded:
    """Return the bytes of a source and what to call it in messages.

    Raises:
        ImageReadError: There is no such file, it is empty, or `source` is none of these.
    """
    if isinstance(source, Loaded):
        return source
    named = isinstance(source, (str, Path))
    if not (named or isinstance(source, bytes) or hasattr(source, "read")):
        raise ImageReadError(
            f"An image is read from a path, bytes or an open file, got {repr(source)}"
        )
    name = str(source) if named else "the given image"
    try:
        if isinstance(source, (str, Path)):
            data = Path(source).read_bytes()
        else:
            data = source if isinstance(source, bytes) else source.read()
    except FileNotFoundError:
        raise ImageReadError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageReadError(f"{name}: is a folder, not an image") from None
    except OSError as error:
        raise ImageReadError(f"{name}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a null byte in a path
        raise ImageReadError(f"{name!r}: is no path of a file ({error})") from error
    if not data:
        raise ImageReadError(f"{name}: is empty (0 bytes)")
    return Loaded(data, name)


def open_image(data: bytes) -> ImageFile:
    """Open an image file without decoding its pixels yet."""
    if damage := find_damage(data):
        raise ImageReadError(damage)
    return Image.open(io.BytesIO(data), formats=FORMATS)


def decode(data: bytes) -> Picture:
    """Decode an image file inside `decoding`."""
    if data.startswith(tiff.BIG_BIG_ENDIAN):  # Pillow takes it for a file of 4 GB at most
        return tiff.read_with_tifffile(data)
    try:
        image = open_image(data)
    except UnidentifiedImageError:
        if data.startswith(tiff.SIGNATURES):
            return tiff.read_with_tifffile(data)
        raise
    if tiff.misread_by_pillow(image):
        return tiff.read_with_tifffile(data)
    if deep.is_rounded(image):
        pixels, alpha, image = deep.read_both_bytes(data)
        return assemble(image, pixels, alpha, icc=image.info.get("icc_profile"))
    if image.format == "PPM" and (samples := deep.read_pnm(data)) is not None:
        return Picture(samples, metadata=Metadata(format="PPM"))
    _scale_transparency(image)
    turn_resolution(image)
    image.load()  # so that an error is this file's
    return from_pil(image)


def _scale_transparency(image: ImageFile) -> None:
    """Bring the transparent grey of a 2 or 4 bit PNG to the 8 bits of its loaded pixels."""
    if image.format == "PNG" and image.tile and "transparency" in image.info:
        image.info["transparency"] *= {"L;2": 85, "L;4": 17}.get(str(image.tile[0].args), 1)


def _reason(error: Exception, data: bytes) -> str:
    """Say in a few words why a file could not be decoded."""
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"has too many pixels ({error}); if you trust the file, raise the limit with "
            "--max-pixels, or PIL.Image.MAX_IMAGE_PIXELS"
        )
    if isinstance(error, MemoryError):
        return "does not fit into memory"
    if isinstance(error, UnidentifiedImageError):
        kind = "text" if _is_text(data[:1024]) else "data of another kind, or a damaged header"
        return f"is no image that can be read (it looks like {kind})"
    if isinstance(error, (ImageReadError, ImageFormatError)):
        return str(error)
    return undecodable(error)


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode()
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # not merely a character cut in two
            return False
        text = start[: error.start].decode()
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()
