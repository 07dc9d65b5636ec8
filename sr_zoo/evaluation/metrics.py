"""PSNR and SSIM as super-resolution papers report them, each under a name that says what it is.

Both images are taken as 8-bit RGB: floating-point values are clipped and rounded first, as an image
file would. `shave` pixels at each border do not count; papers shave as many as the scale.
Luminance is Y of BT.601 in studio swing (16 to 235), not rounded.
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.errors import ImageFormatError, OptionError

Image = Tensor | NDArray[Any]

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601 studio swing, from 8-bit RGB
LUMA_OFFSET = 16.0
PEAK = 255.0
WINDOW = 11  # SSIM: Wang et al., 2004
SIGMA = 1.5
STABILISERS = ((0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2)


def psnr_y(a: Image, b: Image, *, shave: int) -> float:
    """Peak signal-to-noise ratio of the luminance in dB; infinite for equal images.

    Args:
        a: uint8 array (H, W, 3), or tensor (3, H, W) of uint8 or of floats in [0, 1].
        b: Likewise, the same height and width.
        shave: Pixels at each border that do not count.

    Raises:
        ImageFormatError: An image is of another kind, or the two differ in size.
        OptionError: Shaving leaves no pixels.
    """
    return _psnr(*(luminance(pixels) for pixels in shaved_pixels(a, b, shave)))


def psnr_rgb(a: Image, b: Image, *, shave: int) -> float:
    """Peak signal-to-noise ratio of all three channels together; otherwise as `psnr_y`."""
    return _psnr(*shaved_pixels(a, b, shave))


def ssim_y(a: Image, b: Image, *, shave: int) -> float:
    """Structural similarity of the luminance, 1 for equal images.

    A Gaussian window of 11 x 11 pixels with a standard deviation of 1.5, where it fits entirely.

    Args:
        a: uint8 array (H, W, 3), or tensor (3, H, W) of uint8 or of floats in [0, 1].
        b: Likewise, the same height and width.
        shave: Pixels at each border that do not count.

    Raises:
        ImageFormatError: An image is of another kind, or the two differ in size.
        OptionError: Shaving leaves less than 11 x 11 pixels.
    """
    return _ssim(*(luminance(pixels) for pixels in shaved_pixels(a, b, shave, WINDOW)))


def ssim_rgb(a: Image, b: Image, *, shave: int) -> float:
    """Structural similarity, mean of the three channels; otherwise as `ssim_y`."""
    return _ssim(*shaved_pixels(a, b, shave, WINDOW))


def shaved_pixels(a: Image, b: Image, shave: int, minimum: int = 1) -> tuple[Tensor, Tensor]:
    """Return two images as float64 tensors (3, H, W) of 8-bit values, borders cut off.

    Args:
        a: uint8 array (H, W, 3), or tensor (3, H, W) of uint8 or of floats in [0, 1].
        b: Likewise.
        shave: Pixels to cut off at each border.
        minimum: The fewest pixels that must be left on each side.

    Raises:
        ImageFormatError: An image is of another kind, or the two differ in size.
        OptionError: `shave` is no whole number, is negative or leaves fewer than `minimum` pixels.
    """
    first, second = as_pixels(a), as_pixels(b)
    if first.shape != second.shape:
        sizes = " and ".join(f"{x.shape[-2]}x{x.shape[-1]}" for x in (first, second))
        raise ImageFormatError(
            f"The images differ in size: {sizes} pixels (height x width). "
            "Crop them to the same size before comparing."
        )
    height, width = first.shape[-2:]
    if not isinstance(shave, Integral):
        raise OptionError(f"shave must be a whole number of pixels, got {shave!r}")
    if shave < 0 or min(height, width) - 2 * shave < minimum:
        raise OptionError(
            f"Cannot shave {shave} pixels off each border of an image of {height}x{width} pixels: "
            f"at least {minimum}x{minimum} must be left. Use a smaller shave."
        )
    inner = (..., slice(shave, height - shave), slice(shave, width - shave))
    return first[inner], second[inner]


def as_pixels(image: Image) -> Tensor:
    """Return an image as a float64 tensor (3, H, W) of whole numbers from 0 to 255.

    Args:
        image: uint8 array (H, W, 3), or tensor (3, H, W) or (1, 3, H, W) of uint8 or of floats in
            [0, 1], which are clipped and rounded.

    Raises:
        ImageFormatError: `image` is of another kind.
    """
    check_kind(image, "measure")
    shape = tuple(image.shape)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or shape[-1] != 3:
            raise ImageFormatError(
                f"An array to measure must be uint8 of shape (H, W, 3), got {image.dtype} of shape "
                f"{shape}. Convert it to 8-bit RGB, or pass a float tensor (3, H, W) in [0, 1]."
            )
        return torch.from_numpy(image.astype(np.float64)).movedim(-1, 0)
    pixels = image.detach().squeeze(0) if image.ndim == 4 else image.detach()
    floating = pixels.is_floating_point()
    if pixels.ndim != 3 or pixels.shape[0] != 3 or not (floating or pixels.dtype == torch.uint8):
        raise ImageFormatError(
            f"A tensor to measure must be one image of shape (3, H, W), of uint8 or of floats in "
            f"[0, 1], got {image.dtype} of shape {shape}."
        )
    if floating:
        return (pixels.double().clamp(0, 1) * PEAK).round()
    return pixels.double()


def check_kind(image: object, purpose: str) -> None:
    """Refuse what is neither an array nor a tensor, such as a PIL image, whose mode may be any.

    Args:
        image: What was given.
        purpose: What it was given for, in the message.

    Raises:
        ImageFormatError: It is neither.
    """
    if not isinstance(image, np.ndarray | Tensor):
        raise ImageFormatError(
            f"An image to {purpose} must be an array or a tensor, got {type(image).__name__}. "
            "numpy.asarray(image.convert('RGB')) gives an array of a "
            "PIL image; PIL.Image.open(path) reads one from a file."
        )


def luminance(pixels: Tensor) -> Tensor:
    """Return Y (1, H, W), 16 to 235, of 8-bit RGB values (3, H, W)."""
    weights = pixels.new_tensor(LUMA).view(3, 1, 1)
    return (pixels * weights).sum(0, keepdim=True) + LUMA_OFFSET


def _psnr(a: Tensor, b: Tensor) -> float:
    error = float((a - b).square().mean())
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def _ssim(a: Tensor, b: Tensor) -> float:
    return float(similarity(a, b).mean())


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity at each place where the window fits.

    Args:
        a: (C, H, W), white at 255; gradients pass through.
        b: Likewise.

    Returns:
        (C, H-10, W-10).
    """
    mean_a, mean_b, square_a, square_b, product = _blur(torch.stack((a, b, a * a, b * b, a * b)))
    c1, c2 = STABILISERS
    luminances = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    variances = square_a - mean_a**2 + square_b - mean_b**2
    structures = (2 * (product - mean_a * mean_b) + c2) / (variances + c2)
    return luminances * structures


def _blur(maps: Tensor) -> Tensor:
    """Average under the Gaussian window, where it fits: (M, C, H, W) to (M, C, H-10, W-10)."""
    offset = torch.arange(WINDOW, dtype=maps.dtype, device=maps.device) - WINDOW // 2
    window = torch.exp(-(offset**2) / (2 * SIGMA**2))
    window = window / window.sum()
    flat = maps.flatten(0, 1)[:, None]
    flat = F.conv2d(F.conv2d(flat, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    return flat.view(*maps.shape[:2], *flat.shape[-2:])
