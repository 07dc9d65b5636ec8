"""Interpolation: fixed kernels, the first row of every table and what networks must beat.

Each output pixel is a weighted sum of the input pixels around it; the kernel says by which weights:
cubic, Lanczos with three lobes, or the nearest pixel alone. Equal to MATLAB's `imresize`, which
makes the field's LR images: pixel centres at half-integers, borders mirrored, no clipping. Nothing
is learned, so there are no weights.

```mermaid
flowchart LR
  x([image]) --> rows["weigh rows"] --> columns["weigh columns"] --> y([HR image])
  kernel["kernel at each distance"] --> rows & columns
```

Paper: Keys, TASSP 1981 (cubic); Duchon, Journal of Applied Meteorology 1979 (Lanczos). RGB in any
range.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from sr_zoo.blocks import Interpolation
from sr_zoo.blocks.interpolate import cubic
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LANCZOS_LOBES = 3


def lanczos(distance: Tensor) -> Tensor:
    """Lanczos' kernel with three lobes: a sinc under the middle of a wider one."""
    window = torch.sinc(distance / LANCZOS_LOBES)
    inside = distance.abs() < LANCZOS_LOBES
    return torch.where(inside, torch.sinc(distance) * window, torch.zeros_like(distance))


def nearest(distance: Tensor) -> Tensor:
    """Take the one pixel there is."""
    return torch.ones_like(distance)


# name to kernel and the distance, in pixels, from which it is zero
KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "cubic": (cubic, 2),
    "lanczos": (lanczos, LANCZOS_LOBES),
    "nearest": (nearest, 0),
}


class Interpolator(SRNetwork):
    """Enlarges each channel by itself; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        kernel: What weights the pixels around each new one.

    Raises:
        ValueError: `kernel` is none of those known.
    """

    def __init__(
        self, *, scale: int, kernel: Literal["cubic", "lanczos", "nearest"] = "cubic"
    ) -> None:
        if kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
        super().__init__(scale)
        weights, support = KERNELS[kernel]
        self.interpolation = Interpolation(scale, kernel=weights, support=support)

    def forward(self, x: Tensor) -> Tensor:
        return self.interpolation(x)


SCALES = (2, 3, 4, 8)

SPEC = ArchSpec(
    network=Interpolator,
    variants={
        "bicubic": Variant(halo=2, scales=SCALES),
        "nearest": Variant(halo=0, scales=SCALES, arguments={"kernel": "nearest"}),
    },
    paper=Paper("Cubic Convolution Interpolation for Digital Image Processing", "TASSP", 1981),
    tags=("baseline",),
)
OTHER_FORMS = (
    replace(
        SPEC,
        variants={"lanczos": Variant(halo=3, scales=SCALES, arguments={"kernel": "lanczos"})},
        paper=Paper(
            "Lanczos Filtering in One and Two Dimensions", "Journal of Applied Meteorology", 1979
        ),
    ),
)
