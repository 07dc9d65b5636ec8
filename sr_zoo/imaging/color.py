"""Colours under transparency, unseen until something blends them into what is visible."""

from __future__ import annotations

import numpy as np

from sr_zoo.imaging.picture import Floats


def bleed(rgb: Floats, alpha: Floats) -> Floats:
    """Spread the visible colours under fully transparent pixels.

    Files often store black or white there. A network or a filter mixes neighbours, and so would
    draw that colour as a fringe around everything that is visible.

    Args:
        rgb: (H, W, 3), straight colours.
        alpha: (H, W), opacity in [0, 1].

    Returns:
        The same colours wherever alpha is above 0, and those of the nearest visible surroundings
        elsewhere.
    """
    visible = alpha > 0
    if visible.all() or not visible.any():
        return rgb
    weighted = np.dstack([rgb, np.ones_like(alpha)])
    weighted *= alpha[..., np.newaxis]
    spread = rgb.copy()
    spread[~visible] = _filled(weighted)[~visible]
    return spread


def _filled(weighted: Floats) -> Floats:
    """Return weighted means, and where there is no weight the means of a coarser view.

    Args:
        weighted: (H, W, 4), colours times weights, then the weights.
    """
    weight = weighted[..., 3]
    empty = weight <= 0
    divisor = np.where(empty, 1, weight).astype(np.float32)
    mean = weighted[..., :3] / divisor[..., np.newaxis]
    if empty.any():
        coarse = _filled(_halved(_halved(weighted, axis=0), axis=1))
        rows, columns = np.nonzero(empty)
        mean[rows, columns] = coarse[rows // 2, columns // 2]
    return mean


def _halved(values: Floats, axis: int) -> Floats:
    """Average four neighbours around every second place; they overlap and see across borders."""
    shape = list(values.shape)
    length = shape[axis]
    shape[axis] = -(-length // 2)
    halved = np.zeros(shape, np.float32)

    def add(target: slice, source: slice) -> None:
        before = (slice(None),) * axis
        halved[(*before, target)] += values[(*before, source)]

    add(slice(None), slice(0, None, 2))
    add(slice(length // 2), slice(1, None, 2))
    halved *= 3
    add(slice(1, None), slice(1, length - 1, 2))
    add(slice((length - 1) // 2), slice(2, None, 2))
    halved /= 8
    return halved
