"""Users' pixels as networks take them, and room for what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr_zoo.errors import ImageFormatError, OutOfMemoryError
from sr_zoo.evaluation.resize import imresize
from sr_zoo.imaging.color import bleed
from sr_zoo.imaging.picture import Floats

COMMON = 0.99  # of a picture's pixels are no brighter than what counts as common in it
HEADROOM = 2.0

CHANNELS = (1, 3, 4)  # of grey, RGB and RGBA


@dataclass(frozen=True)
class Planes:
    """The colours and the opacity of a tensor of images.

    Attributes:
        color: (N, 3, H, W), float32 in [0, 1]; visible colours go on under where nothing is seen.
        alpha: (N, 1, H, W), likewise, or None.
        image: What they are of.
    """

    color: Tensor
    alpha: Tensor | None
    image: Tensor

    @classmethod
    def of(cls, image: Tensor) -> Planes:
        """Take a tensor (C, H, W) or (N, C, H, W) apart.

        Raises:
            ImageFormatError: It has a type, shape or range that is not supported.
        """
        values = _to_unit_range(image if image.ndim == 4 else image[None])
        channels = values.shape[1]
        color = values[:, :3] if channels >= 3 else values[:, :1].expand(-1, 3, -1, -1)
        if channels < 4:
            return cls(color, None, image)
        return cls(_bled(color, values[:, 3]), values[:, 3:], image)

    def like_image(self, color: Tensor, alpha: Tensor | None) -> Tensor:
        """Return other colours (N, 3, h, w) and opacity as the images' kind of tensor."""
        image = self.image
        out = color.mean(1, keepdim=True) if image.shape[-3] == 1 else color
        if alpha is not None:
            out = torch.cat([out, alpha], dim=1)
        if not image.is_floating_point():
            out = (out * torch.iinfo(image.dtype).max).round()
        out = out.to(image.device, image.dtype)
        return out if image.ndim == 4 else out[0]


def from_array(image: np.ndarray[Any, Any]) -> Tensor:
    """Return an array (H, W) or (H, W, C) as a tensor (C, H, W).

    Raises:
        ImageFormatError: It has another number or order of axes, or a type that no tensor has.
    """
    if image.ndim not in (2, 3):
        raise ImageFormatError(
            f"An array must be (H, W) or (H, W, C), got shape {image.shape}; "
            "upscale the images of a batch one by one, or as a tensor (N, C, H, W)"
        )
    if image.ndim == 3 and image.shape[0] in CHANNELS and image.shape[2] > max(CHANNELS):
        raise ImageFormatError(
            f"An array must be (H, W) or (H, W, C), got shape {image.shape}; "
            "np.moveaxis(image, 0, -1) puts its channels last"
        )
    # a copy in the order of its axes and of this machine's bytes: torch takes no other
    native = image.astype(image.dtype.newbyteorder("="), order="C")
    try:
        channels_last = torch.from_numpy(np.atleast_3d(native))
    except TypeError as error:
        raise ImageFormatError(
            f"Pixels must be uint8, uint16 or floating point, not {image.dtype}"
        ) from error
    return channels_last.permute(2, 0, 1)


def to_array(image: Tensor, axes: int) -> np.ndarray[Any, Any]:
    """Return a tensor (C, H, W) as an array of 2 axes (H, W) or of 3 (H, W, C)."""
    array: np.ndarray[Any, Any] = image.permute(1, 2, 0).numpy()
    return array[..., 0] if axes == 2 else np.ascontiguousarray(array)


def _to_unit_range(image: Tensor) -> Tensor:
    """Return images (N, C, H, W) in float32 in [0, 1].

    Raises:
        ImageFormatError: They have a type, shape or range that is not supported.
    """
    if image.ndim != 4 or image.shape[1] not in CHANNELS or 0 in image.shape:
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
        return image.float() / torch.iinfo(image.dtype).max
    if not image.is_floating_point():
        raise ImageFormatError(f"Pixels must be uint8, uint16 or floating point, not {image.dtype}")
    values = image.float()
    low, high = values.min().item(), values.max().item()
    if not (low >= 0 and high <= 1):
        raise ImageFormatError(
            f"Floating-point pixels must lie in [0, 1], got {low:g} to {high:g}; "
            "divide 8-bit values by 255, or clamp"
        )
    return values


@dataclass(frozen=True)
class Brightness:
    """What floating-point colours hold beyond [0, 1], which is all that a network takes.

    They are divided by the brightest value, as long as that is no more than `HEADROOM` times what
    is common in the picture. A few highlights brighter still (the sun, a hot pixel) would leave too
    little of the range to all else: what passes that is enlarged by interpolation, and added again.

    Attributes:
        white: What becomes 1 for the network; at least 1.
        excess: (H, W, 3), how much brighter than that pixels are, or None where none is.
    """

    white: float
    excess: Floats | None

    @classmethod
    def of(cls, colors: Floats) -> Brightness:
        """Look at colours (H, W, 3)."""
        top = max(float(colors.max()), 1.0)
        common = max(float(np.quantile(colors.max(-1), COMMON)), 1.0) if top > HEADROOM else 1.0
        white = min(top, HEADROOM * common)
        return cls(white, np.maximum(colors - white, 0) if top > white else None)

    def to_unit_range(self, colors: Floats) -> Floats:
        """Return the colours as a network takes them."""
        return colors if self.white == 1 else np.minimum(colors / self.white, 1)

    def restore(self, colors: Floats) -> Floats:
        """Return enlarged colours (h, w, 3) as bright as they were."""
        bright = colors if self.white == 1 else colors * self.white
        if self.excess is None:
            return bright
        return bright + np.maximum(imresize(self.excess, size=bright.shape[:2]), 0)


def check_finite(colors: Floats) -> None:
    """Check that all values are numbers.

    Raises:
        ImageFormatError: One is infinite or none.
    """
    if not np.isfinite(colors).all():
        raise ImageFormatError("Pixels must be finite numbers; replace those that are not")


def _bled(colors: Tensor, alpha: Tensor) -> Tensor:
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
