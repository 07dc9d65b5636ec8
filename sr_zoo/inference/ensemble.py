"""Self-ensemble: the mean over the eight flips and rotations of an image.

Source: Timofte et al., "Seven ways to improve example-based single image super resolution", CVPR
2016, there called enhanced prediction. It costs eight times the time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from torch import Tensor

SYMMETRIES = tuple(product((False, True), repeat=3))  # transposed, upside down, mirrored


def self_ensemble(run: Callable[[Tensor, Tensor], None], image: Tensor, out: Tensor) -> None:
    """Fill `out` with the mean over the results of all symmetries of an image, turned back.

    Args:
        run: Called with a flipped and rotated image and the tensor to fill with its result.
        image: (N, C, H, W).
        out: (N, C, s*H, s*W).
    """
    out.zero_()
    for symmetry in SYMMETRIES:
        result = _turn(out, symmetry).clone()
        run(_turn(image, symmetry), result)
        out += _turn_back(result, symmetry) / len(SYMMETRIES)


def _turn(image: Tensor, symmetry: tuple[bool, ...]) -> Tensor:
    transposed, *flipped = symmetry
    image = image.mT if transposed else image
    return image.flip([axis for axis, flip in zip((-2, -1), flipped, strict=True) if flip])


def _turn_back(image: Tensor, symmetry: tuple[bool, ...]) -> Tensor:
    transposed, *flipped = symmetry
    image = image.flip([axis for axis, flip in zip((-2, -1), flipped, strict=True) if flip])
    return image.mT if transposed else image
