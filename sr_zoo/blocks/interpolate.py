"""Enlarging by a fixed kernel instead of learned layers."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.constants import Constants
from sr_zoo.blocks.padding import pad_symmetric


def cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5, the bicubic of MATLAB and of the field."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


def places_in_pixel(scale: int) -> Tensor:
    """Return where the pixels that an LR pixel becomes lie in it, and how large they are.

    Returns:
        (scale**2, 4): row and column, from -1 to 1, and both sides.
    """
    phases = (2 * torch.arange(scale) + 1) / scale - 1
    sides = torch.full((scale**2, 2), 2 / scale)
    return torch.cat([torch.cartesian_prod(phases, phases), sides], dim=1)


class Interpolation(Constants):
    """Enlarges each channel by an interpolation kernel, borders mirrored as MATLAB does.

    Equal to a resize by an integer factor, but one convolution and a pixel shuffle: each output
    pixel depends on nothing but the pixels under its kernel, so that tiles come out bit for bit
    as the whole image does. The kernel is no weight: it is kept out of the state dict.

    Shape: (N, C, H, W) to (N, C, scale*H, scale*W); any H, W >= 1.

    Args:
        scale: Upscaling factor.
        kernel: Distances in input pixels to weights; they need not sum to one.
        support: Distance, in whole pixels, from which the kernel is zero.
    """

    weight: Tensor

    def __init__(
        self, scale: int, *, kernel: Callable[[Tensor], Tensor] = cubic, support: int = 2
    ) -> None:
        super().__init__()
        self.scale = scale
        self.support = support
        self.register_constant("weight", _weight, scale, kernel, support)

    def forward(self, x: Tensor) -> Tensor:
        planes = pad_symmetric(x, self.support).flatten(0, 1)[:, None]
        enlarged = F.pixel_shuffle(F.conv2d(planes, self.weight), self.scale)
        return enlarged.reshape(*x.shape[:2], *enlarged.shape[-2:])


def _weight(scale: int, kernel: Callable[[Tensor], Tensor], support: int) -> Tensor:
    """Return what weights the pixels around each pixel for each of the ones that it becomes."""
    taps = torch.arange(-support, support + 1, dtype=torch.float64)
    phases = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    rows = kernel(taps - phases[:, None])
    rows = rows / rows.sum(1, keepdim=True)
    weight = torch.einsum("ya,xb->yxab", rows, rows).flatten(0, 1)[:, None]
    return weight.to(torch.get_default_dtype())
