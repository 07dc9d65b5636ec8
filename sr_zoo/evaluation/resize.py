"""Image resizing equal to MATLAB's `imresize`, the one that makes the field's LR images."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_zoo.blocks.interpolate import cubic
from sr_zoo.errors import ImageFormatError, OptionError
from sr_zoo.evaluation.metrics import check_kind

Image = TypeVar("Image", Tensor, NDArray[Any])

SUPPORT = 4.0  # the bicubic kernel's width in pixels
SIZE_TOLERANCE = 1e-9  # in pixels: 0.1 * 30 is 3, whatever the floating-point product says


def imresize(
    image: Image,
    factor: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    antialias: bool = True,
) -> Image:
    """Resize with MATLAB's bicubic kernel (a = -0.5), borders mirrored.

    Integer images are rounded and clipped after each dimension, as MATLAB does, so that LR images
    of the benchmarks come out in every value. Floating-point images are neither rounded nor
    clipped, and tensors stay differentiable.

    Args:
        image: An array (H, W) or (H, W, C), or a tensor (..., H, W).
        factor: Output side over input side: 0.25 shrinks by four, 4 enlarges by four. The output
            has ``ceil(factor * side)`` pixels.
        size: Output height and width, instead of `factor`.
        antialias: Widen the kernel when shrinking, so that it covers every input pixel.

    Returns:
        An image of the same kind, type and layout.

    Raises:
        OptionError: Both or neither of `factor` and `size` are given, or one is not positive.
        ImageFormatError: `image` is of another kind, has fewer than two dimensions, no pixels, or
            truth values.
    """
    check_kind(image, "resize")
    pixels = image if isinstance(image, Tensor) else _native(image)
    if pixels.dtype == torch.bool:
        raise ImageFormatError(
            "A mask has nothing between False and True; convert it to uint8 or to floats first."
        )
    channels_last = isinstance(image, np.ndarray) and image.ndim > 2
    if channels_last:
        pixels = pixels.movedim(-1, -3)
    resized = _resize(pixels, *_target(pixels, factor, size), antialias)
    if not isinstance(image, np.ndarray):
        return resized
    return np.ascontiguousarray((resized.movedim(-3, -1) if channels_last else resized).numpy())


def _native(image: NDArray[Any]) -> Tensor:
    """Return a copy in this machine's order of bytes: torch takes no other."""
    return torch.from_numpy(image.astype(image.dtype.newbyteorder("="), order="C"))


def _target(
    pixels: Tensor, factor: float | None, size: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the output's height and width, and the factor along each."""
    if pixels.ndim < 2 or 0 in pixels.shape[-2:]:
        raise ImageFormatError(
            f"imresize needs an image with height and width, got the shape {tuple(pixels.shape)}. "
            "Pass an array (H, W, C) or a tensor (..., H, W)."
        )
    height, width = pixels.shape[-2:]
    if (factor is None) == (size is None):
        raise OptionError("imresize takes either a factor or a size; pass exactly one of them.")
    if size is not None:
        if min(size) < 1:
            raise OptionError(f"The output size must be at least 1 x 1 pixel, got {size}.")
        return size, (size[0] / height, size[1] / width)
    if factor is None or not 0 < factor < math.inf:
        raise OptionError(f"The factor must be a positive number, got {factor}.")
    sides = (math.ceil(factor * side - SIZE_TOLERANCE) for side in (height, width))
    return (next(sides), next(sides)), (factor, factor)


def _resize(
    pixels: Tensor, size: tuple[int, int], factors: tuple[float, float], antialias: bool
) -> Tensor:
    integer = not pixels.is_floating_point()
    # half precision would round each of the products
    x = pixels.to(torch.float64 if integer else torch.promote_types(pixels.dtype, torch.float32))
    axes = (-2, -1) if factors[0] <= factors[1] else (-1, -2)  # the stronger reduction first
    for axis in axes:
        x = _resize_axis(x, axis, size[axis], factors[axis], antialias)
        if integer:
            # halves go up, while `round` takes them to the even neighbour
            limits = torch.iinfo(pixels.dtype)
            x = (x + 0.5).floor().clamp(limits.min, limits.max)
    return x.to(pixels.dtype)


def _resize_axis(x: Tensor, axis: int, length: int, factor: float, antialias: bool) -> Tensor:
    indices, weights = _taps(x.shape[axis], length, factor, antialias)
    shape = (-1, 1) if axis == -2 else (-1,)
    out = x.new_zeros(())
    for index, weight in zip(indices.T.to(x.device), weights.T.to(x), strict=True):
        out = out + x.index_select(axis, index) * weight.reshape(shape)
    return out


def _taps(source: int, length: int, factor: float, antialias: bool) -> tuple[Tensor, Tensor]:
    """Return, for each output pixel, which input pixels it sums and with which weights."""
    stretch = 1 / factor if antialias and factor < 1 else 1.0
    # pixel centres lie at half-integers in both images
    center = (torch.arange(length, dtype=torch.float64) + 0.5) / factor - 0.5
    first = (center - SUPPORT * stretch / 2).floor()
    offsets = torch.arange(math.ceil(SUPPORT * stretch) + 2)
    indices = first[:, None].long() + offsets
    weights = cubic((center[:, None] - indices) / stretch)
    weights = weights / weights.sum(1, keepdim=True)
    used = (weights != 0).any(0)
    mirrored = indices.remainder(2 * source)
    mirrored = torch.minimum(mirrored, 2 * source - 1 - mirrored)
    return mirrored[:, used], weights[:, used]
