"""Enlarging by a fixed kernel instead of learned layers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.padding import pad_symmetric


def cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5, the bicubic of MATLAB and of the field."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


class Interpolation(nn.Module):
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
        taps = torch.arange(-support, support + 1, dtype=torch.float64)
        phases = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
        rows = kernel(taps - phases[:, None])
        rows = rows / rows.sum(1, keepdim=True)
        weight = torch.einsum("ya,xb->yxab", rows, rows).flatten(0, 1)[:, None]
        self.register_buffer("weight", weight.to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        planes = pad_symmetric(x, self.support).flatten(0, 1)[:, None]
        enlarged = F.pixel_shuffle(F.conv2d(planes, self.weight), self.scale)
        return enlarged.reshape(*x.shape[:2], *enlarged.shape[-2:])
