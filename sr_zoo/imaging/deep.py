"""Sixteen bits per channel, where Pillow rounds them to eight: PNG and TIFF in colour, and PNM."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from sr_zoo.imaging.picture import Array
from sr_zoo.imaging.pil import cut_out, turn_resolution

ROUNDED = ("RGB;16", "RGBA;16", "RGBX;16", "RGBa;16", "LA;16")
PNM_HEADER = re.compile(rb"(P[56])" + rb"(?:\s+|#[^\n]*\n)+(\d+)" * 3 + rb"\s")


def is_rounded(image: ImageFile) -> bool:
    """Whether Pillow would round this opened, not yet loaded PNG or TIFF image to 8 bits."""
    known = image.format in ("PNG", "TIFF") and bool(image.tile)
    return known and _raw_mode(image)[:-1] in ROUNDED


def read_both_bytes(data: bytes) -> tuple[Array, Array | None, ImageFile]:
    """Return pixels and straight alpha of 16 bits, and the loaded image for its metadata.

    Pillow unpacks one byte of each sample, the high one if it is told the right byte order and the
    other one if it is told the wrong one: two runs give both.
    """
    image = _open(data)
    turn_resolution(image)
    raw_mode = _raw_mode(image)
    if raw_mode == "LA;16B":
        _unpack_as(image, "RGBA")  # the four bytes of a pixel, as they are
        samples = np.array(image).view(">u2").astype(np.uint16)
        return samples[..., :1], samples[..., 1], image
    premultiplied = raw_mode.startswith("RGBa")
    raw_mode = raw_mode.replace("RGBa", "RGBA")
    _unpack_as(image, raw_mode)
    high_bytes = np.array(image).astype(np.uint16)
    other = _open(data)
    _unpack_as(other, raw_mode[:-1] + ("L" if raw_mode.endswith("B") else "B"))
    samples = high_bytes << 8 | np.array(other)
    if samples.shape[2] == 3:
        return samples, cut_out(samples, image.info.get("transparency")), image
    pixels, alpha = samples[..., :3], samples[..., 3]
    return (unmultiplied(pixels, alpha) if premultiplied else pixels), alpha, image


def unmultiplied(pixels: Array, alpha: Array) -> Array:
    """Return straight colours of integers that are stored multiplied by their opacity."""
    white = np.iinfo(pixels.dtype).max
    scale = white / np.maximum(alpha, 1)[..., np.newaxis]
    return np.rint(np.minimum(pixels * scale, white)).astype(pixels.dtype)


def read_pnm(data: bytes) -> Array | None:
    """Return the pixels of a binary PGM or PPM file of more than 8 bits, or None for other files.

    Raises:
        ValueError: The file is truncated.
    """
    header = PNM_HEADER.match(data)
    if header is None:
        return None
    width, height, white = (int(number) for number in header.groups()[1:])
    if not 255 < white < 65536:
        return None
    channels = 1 if header[1] == b"P5" else 3
    samples = np.frombuffer(data, ">u2", height * width * channels, header.end())
    scaled = np.rint(samples.reshape(height, width, channels) * (65535 / white))
    return np.minimum(scaled, 65535).astype(np.uint16)


def _open(data: bytes) -> ImageFile:
    return Image.open(io.BytesIO(data), formats=("PNG", "TIFF"))


def _raw_mode(image: ImageFile) -> str:
    return str(_arguments(image.tile[0].args)[0])


def _unpack_as(image: ImageFile, raw_mode: str) -> None:
    """Have an image's decoder take its samples for those of another kind."""
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]


def _arguments(args: tuple[Any, ...] | str | None) -> tuple[Any, ...]:
    return args if isinstance(args, tuple) else (args,)
