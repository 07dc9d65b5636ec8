"""Users' pixels as networks take them, and room for what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr_zoo.errors import ImageFormatError, OutOfMemoryError
from sr_zoo.imaging.color import bleed


def to_unit_range(image: Tensor) -> tuple[Tensor, int | None]:
    """Return float32 in [0, 1] and the largest value of an integer type."""
    if image.ndim != 4 or image.shape[1] not in (1, 3, 4) or 0 in image.shape:
        shape = tuple(image.shape)
        raise ImageFormatError(
            f"An image must have 1, 3 or 4 channels and at least one pixel, got (N, C, H, W) = "
            f"{shape}"
        )
    if image.layout != torch.strided:
        raise ImageFormatError(
            f"Pixels must lie in a plain tensor, not in the layout {image.layout}; "
            "image.to_dense() gives one"
        )
    if image.is_meta:
        raise ImageFormatError("Pixels must have values; a tensor on the device meta has none")
    image = image.detach()  # nothing is trained through an upscaler
    if image.dtype in (torch.uint8, torch.uint16):
        top = torch.iinfo(image.dtype).max
        return image.float() / top, top
    if not image.is_floating_point():
        raise ImageFormatError(f"Pixels must be uint8, uint16 or floating point, not {image.dtype}")
    values = image.float()
    low, high = values.min().item(), values.max().item()
    if not (low >= 0 and high <= 1):
        raise ImageFormatError(
            f"Floating-point pixels must lie in [0, 1], got {low:g} to {high:g}; "
            "divide 8-bit values by 255, or clamp"
        )
    return values, None


def brightest(colors: np.ndarray[Any, Any]) -> float:
    """Return the largest of floating-point values, at least 1."""
    if not np.isfinite(colors).all():
        raise ImageFormatError("Pixels must be finite numbers; replace those that are not")
    return max(float(colors.max()), 1.0)


def bled(colors: Tensor, alpha: Tensor) -> Tensor:
    """Spread visible colours (N, 3, H, W) under where opacity (N, H, W) is zero."""
    spread = [
        torch.from_numpy(bleed(color.permute(1, 2, 0).cpu().numpy(), opacity.cpu().numpy()))
        for color, opacity in zip(colors, alpha, strict=True)
    ]
    return torch.stack(spread).permute(0, 3, 1, 2)


def empty_rgb(batch: int, height: int, width: int) -> Tensor:
    """Return RGB to be filled, on the CPU.

    Raises:
        OutOfMemoryError: There is not enough memory for it.
    """
    try:
        return torch.empty(batch, 3, height, width, dtype=torch.float32)
    except RuntimeError as error:
        gigabytes = batch * 3 * height * width * 4 / 1e9
        raise OutOfMemoryError(
            f"The output of {width}x{height} pixels takes {gigabytes:.1f} GB, which this machine "
            "does not have free; ask for a smaller one, or upscale from file to file with "
            "sr_zoo[huge]"
        ) from error


def clamp(values: Tensor) -> Tensor:
    """Bring values on the CPU into [0, 1], in place."""
    # by NumPy: torch's threads spin for a while, and would take time from another runtime's
    np.clip(values.numpy(), 0, 1, out=values.numpy())
    return values
