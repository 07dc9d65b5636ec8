"""Pictures from Pillow's images and back."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms

from sr_zoo.errors import ImageFormatError, ImageReadError
from sr_zoo.imaging.exif import ORIENTATION, PREFIX, X_RESOLUTION, fit_exif, upright_xmp
from sr_zoo.imaging.integrity import undecodable
from sr_zoo.imaging.picture import Array, Metadata, Picture, usable_dpi

# of a TIFF's own tags, these say something about the picture and not about the file's layout
DESCRIPTIVE_TAGS = (270, 271, 272, 305, 306, 315, 316, 33432)
DIRECT = {"L": False, "LA": True, "RGB": False, "RGBA": True}  # mode to whether it has alpha
TO_RGB = {"CMYK", "YCbCr", "LAB", "HSV", "RGBX"}


def from_pil(image: Image.Image) -> Picture:
    """Return what an image of Pillow holds, upright.

    Grey (``L``, ``1``, ``I;16``, ``F``) stays grey, palettes become RGB, CMYK and other colour
    models become RGB, through their ICC profile if they carry one. The EXIF orientation is applied.

    Raises:
        ImageFormatError: The image holds 32-bit integers, whose white nobody knows.
        ImageReadError: The file behind an image that was only opened is cut off or closed.
    """
    try:
        turn_resolution(image)
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # decoders let out what they stumble over: any type there is
        raise ImageReadError(f"the given image: {undecodable(error)}") from error
    icc = image.info.get("icc_profile") or None
    if image.mode in TO_RGB:
        pixels, alpha, icc = _through_profile(image, icc)
    else:
        pixels, alpha = split(image)
    return assemble(image, pixels, alpha, icc=icc)


def assemble(
    image: Image.Image, pixels: Array, alpha: Array | None, *, icc: bytes | None
) -> Picture:
    """Put pixels as stored in a file, turned upright, together with the metadata of `image`."""
    xmp = image.info.get("xmp")
    exif = image.getexif()
    # of a TIFF without a resolution Pillow says that it has one pixel per inch
    dpi = image.info.get("dpi") if image.format != "TIFF" or X_RESOLUTION in exif else None
    stored = Metadata(
        icc=icc,
        exif=image.info.get("exif") or (descriptive(exif) if image.format == "TIFF" else None),
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        dpi=usable_dpi(dpi),
        format=image.format,
        mode=image.mode,
    )
    return upright(Picture(pixels, alpha, stored), exif.get(ORIENTATION, 1))


def turn_resolution(image: Image.Image) -> None:
    """Turn the resolution of a TIFF that is not loaded yet: Pillow turns its pixels on loading."""
    if image.format == "TIFF" and "dpi" in image.info and image.getexif().get(ORIENTATION, 1) >= 5:
        image.info["dpi"] = image.info["dpi"][::-1]


def upright(picture: Picture, orientation: int) -> Picture:
    """Turn a picture as its EXIF orientation asks for, and reset that."""
    pixels = _turned(picture.pixels, orientation)
    height, width = pixels.shape[:2]
    stored = picture.metadata
    metadata = replace(
        stored,
        exif=stored.exif and fit_exif(stored.exif, width=width, height=height),
        xmp=stored.xmp and upright_xmp(stored.xmp),
        dpi=stored.dpi[::-1] if stored.dpi and orientation >= 5 else stored.dpi,
    )
    alpha = None if picture.alpha is None else _turned(picture.alpha, orientation)
    return Picture(pixels, alpha, metadata)


def to_pil(picture: Picture) -> Image.Image:
    """Return the picture as an image of Pillow, metadata in its ``info``.

    Pillow knows 16 bits and floats for opaque grey only; everything else is rounded to 8 bits.
    """
    if picture.pixels.dtype != np.uint8 and not (picture.is_grey and picture.alpha is None):
        picture = picture.with_dtype(np.uint8)
    channels = picture.pixels
    if picture.alpha is not None:
        channels = np.concatenate([channels, picture.alpha[..., np.newaxis]], axis=2)
    image = Image.fromarray(channels[..., 0] if channels.shape[2] == 1 else channels)
    image.info.update(save_options(picture.metadata))
    return image


def save_options(metadata: Metadata) -> dict[str, Any]:
    """Return the metadata under the names by which Pillow's encoders take it."""
    exif = metadata.exif
    if exif and not exif.startswith(PREFIX):  # which WebP leaves out, and JPEG does not do without
        exif = PREFIX + exif
    options = {
        "icc_profile": metadata.icc,
        "exif": exif,
        "xmp": metadata.xmp,
        "dpi": metadata.dpi,
    }
    return {name: value for name, value in options.items() if value}


def split(image: Image.Image) -> tuple[Array, Array | None]:
    """Return pixels and alpha of an image whose colours are grey, RGB or a palette of RGB."""
    transparent = image.info.get("transparency")
    if image.mode in ("P", "PA", "RGBa", "La"):
        has_alpha = image.mode != "P" or transparent is not None
        grey = image.mode == "La"
        image = image.convert(("LA" if grey else "RGBA") if has_alpha else "RGB")
        transparent = None
    if image.mode in DIRECT:
        array = np.array(image)
        if not DIRECT[image.mode]:
            pixels = array if array.ndim == 3 else array[..., np.newaxis]
            return pixels, cut_out(pixels, transparent)
        return array[..., :-1], array[..., -1]
    if image.mode == "1":
        pixels = np.array(image)[..., np.newaxis].astype(np.uint8) * np.uint8(255)
        return pixels, cut_out(pixels, transparent and 255)
    if image.mode.startswith("I;16"):
        pixels = np.asarray(image).astype(np.uint16)[..., np.newaxis]
        return pixels, cut_out(pixels, transparent)
    if image.mode == "F":
        return np.array(image)[..., np.newaxis], None
    raise ImageFormatError(
        f"images of mode {image.mode!r} are not supported, since nothing says which value is "
        "white: convert to 8 or 16 bits per channel, or to floats in [0, 1]"
    )


def cut_out(pixels: Array, transparent: Any) -> Array | None:
    """Return the alpha of pixels of which one colour stands for transparency (None: no colour)."""
    if transparent is None or isinstance(transparent, bytes):
        return None
    opaque = (pixels != np.asarray(transparent, pixels.dtype)).any(axis=2)
    return opaque.astype(pixels.dtype) * pixels.dtype.type(np.iinfo(pixels.dtype).max)


def _through_profile(
    image: Image.Image, icc: bytes | None
) -> tuple[Array, Array | None, bytes | None]:
    """Convert to RGB; through the ICC profile if it fits, and then to sRGB."""
    srgb = ImageCms.createProfile("sRGB")
    if icc and image.mode in ("CMYK", "LAB"):
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None  # a profile for other colours, or a damaged one
        if converted is not None:
            return np.array(converted), None, ImageCms.ImageCmsProfile(srgb).tobytes()
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        return np.array(converted), None, None
    # an ICC profile of YCbCr pixels speaks of the RGB that they encode, so it stays
    return np.array(image.convert("RGB")), None, icc if image.mode == "YCbCr" else None


def descriptive(tags: Image.Exif) -> bytes | None:
    """Return as an EXIF block what a TIFF file's tags say about the picture, not about the file."""
    kept = Image.Exif()
    for tag in DESCRIPTIVE_TAGS:
        if tag in tags:
            kept[tag] = tags[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if directory in tags and (entries := tags.get_ifd(directory)):
            kept[directory] = entries
    return kept.tobytes() if len(kept) else None


def _turned(array: Array, orientation: int) -> Array:
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }.get(orientation)
    return array if turned is None else np.ascontiguousarray(turned(array))
