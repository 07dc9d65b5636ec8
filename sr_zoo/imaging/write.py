"""Writing image files: whole or not at all, and never less than the picture holds unannounced."""

from __future__ import annotations

import io
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from sr_zoo.atomic import write_atomically
from sr_zoo.errors import ImageWriteError, OptionError
from sr_zoo.imaging import png, tiff
from sr_zoo.imaging.formats import Format, output_format
from sr_zoo.imaging.picture import Metadata, Picture
from sr_zoo.imaging.pil import save_options, to_pil

SHARP_COLORS = 90  # from this quality on, colour is stored as finely as brightness


def write_image(
    picture: Picture,
    path: str | Path,
    *,
    format: str | None = None,
    quality: int | None = None,
    strip: bool = False,
) -> None:
    """Write a picture to a file, as `encode_image` says; an existing file is replaced at once.

    Args:
        picture: What to write.
        path: Where; its ending chooses the format if `format` does not.
        format: Such as ``"png"`` or ``"jpg"``.
        quality: As in `encode_image`.
        strip: As in `encode_image`.

    Raises:
        ImageWriteError: The file cannot be written, or the format cannot hold the picture. An
            existing file is then as it was.
        OptionError: The quality is outside 1 to 100.
    """
    chosen = output_format(path, format)
    try:
        data = encode_image(picture, chosen, quality=quality, strip=strip)
    except ImageWriteError as error:
        raise ImageWriteError(f"{path}: {error}") from error
    write_atomically(path, data, error=ImageWriteError)


def encode_image(
    picture: Picture, format: Format, *, quality: int | None = None, strip: bool = False
) -> bytes:
    """Return a picture as the bytes of an image file.

    Pixels deeper than the format holds are rounded to its deepest type: 16 bits become 8 in JPEG,
    floats become 16 in PNG. Colours become those of sRGB in BMP and GIF, which hold no ICC profile.
    Opacity is never dropped: formats without it refuse pictures that are not opaque everywhere.

    Args:
        picture: What to encode.
        format: From `sr_zoo.imaging.formats`.
        quality: 1 to 100, for the formats that lose something; 100 makes WebP lossless.
        strip: Leave out EXIF and XMP. The ICC profile stays where the format holds one, since
            colours would change without it, and so does the resolution.

    Raises:
        ImageWriteError: The format cannot hold the picture.
        OptionError: The quality is outside 1 to 100.
    """
    check_quality(quality)
    picture = fit(picture, format)
    if strip:
        picture = replace(picture, metadata=picture.metadata.stripped())
    file = io.BytesIO()
    if format.name == "PNG" and picture.pixels.dtype == np.uint16:
        png.write_16_bit(picture, file)
    elif format.name == "TIFF":
        tiff.write([picture], file)
    else:
        _encode_with_pillow(picture, format, quality, file)
    return file.getvalue()


def check_quality(quality: int | None) -> None:
    """Raise an OptionError unless a quality is None or from 1 to 100."""
    whole = isinstance(quality, Integral) and not isinstance(quality, bool)
    if quality is not None and not (whole and 1 <= quality <= 100):
        raise OptionError(f"quality must be a whole number from 1 to 100, got {quality!r}")


def check_holds(format: Format, picture: Picture, size: tuple[int, int] | None = None) -> None:
    """Raise an ImageWriteError if a format cannot hold a picture, enlarged to height and width."""
    height, width = size or picture.size
    if max(height, width) > format.max_side:
        raise ImageWriteError(
            f"{format.name} holds at most {format.max_side} pixels a side, the picture has "
            f"{width}x{height}; write PNG or TIFF instead"
        )
    if not format.alpha and not picture.is_opaque:
        raise ImageWriteError(
            f"{format.name} cannot hold the transparency of this picture; write PNG, WebP, "
            "AVIF or TIFF, or lay it over a background first"
        )


def fit(picture: Picture, format: Format) -> Picture:
    """Return the picture in the deepest type and the channels that the format holds.

    Raises:
        ImageWriteError: The picture is too large for the format, or transparent where it cannot be.
    """
    check_holds(format, picture)
    picture = picture.with_dtype(format.closest_dtype(picture.pixels.dtype))
    if not format.alpha:
        picture = replace(picture, alpha=None)
    if (picture.is_grey and not format.grey) or (picture.metadata.icc and not format.profiles):
        picture = _in_srgb(picture)
    return picture


def _in_srgb(picture: Picture) -> Picture:
    """Return a picture of 8 bits as RGB without a profile, which is applied if it fits."""
    icc, grey = picture.metadata.icc, picture.is_grey
    pixels = np.repeat(picture.pixels, 3, axis=2) if grey else picture.pixels
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            image = Image.fromarray(picture.pixels[..., 0] if grey else pixels)
            srgb = ImageCms.createProfile("sRGB")
            pixels = np.array(ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB"))
        except (ImageCms.PyCMSError, OSError):
            pass  # damaged, or for other colours
    return replace(picture, pixels=pixels, metadata=replace(picture.metadata, icc=None))


def encoder_options(format: Format, metadata: Metadata, quality: int | None) -> dict[str, Any]:
    """Return what Pillow's encoder of a format is to be told."""
    options: dict[str, Any] = save_options(metadata)
    if format.name == "PNG" and metadata.xmp:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp"))
    if format.lossy_quality is None:
        return options
    options["quality"] = quality or format.lossy_quality
    if format.name in ("JPEG", "AVIF"):
        options["subsampling"] = "4:4:4" if options["quality"] >= SHARP_COLORS else "4:2:0"
    elif format.name == "WEBP":
        options |= {"lossless": options["quality"] == 100, "exact": True}
    return options


def _encode_with_pillow(
    picture: Picture, format: Format, quality: int | None, file: io.BytesIO
) -> None:
    image = to_pil(picture)
    try:
        image.save(file, format.name, **encoder_options(format, picture.metadata, quality))
    except (OSError, ValueError) as error:
        raise ImageWriteError(f"cannot be written as {format.name} ({error})") from error
