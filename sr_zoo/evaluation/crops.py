"""Which part of an image shows best how several results of it differ."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from sr_zoo.evaluation.metrics import as_pixels, luminance

Pixels = NDArray[np.uint8]

SIDE = 96  # HR pixels
STEP = 8


@dataclass(frozen=True)
class Crop:
    """The same square of several results.

    Attributes:
        top: Position in HR pixels.
        left: Position in HR pixels.
        side: Height and width in HR pixels.
        difference: Mean difference of the results there, in levels of luminance.
        images: What it shows to PNG data, base64.
    """

    top: int
    left: int
    side: int
    difference: float
    images: Mapping[str, str]


def crop_where_different(
    results: Mapping[str, Pixels], baseline: tuple[str, Pixels], reference: tuple[str, Pixels]
) -> Crop:
    """Cut out the square where results differ most.

    Args:
        results: Label to image (H, W, 3); a single one is compared with the baseline.
        baseline: Label and image that is shown first.
        reference: Label and image that is shown last.
    """
    compared = list(results.values()) if len(results) > 1 else [*results.values(), baseline[1]]
    planes = torch.stack([luminance(as_pixels(image)) for image in compared])
    spread = planes.amax(0) - planes.amin(0)
    side = min(SIDE, *spread.shape[-2:])
    local = F.avg_pool2d(spread[None], side, STEP)[0, 0]
    difference, position = local.flatten().max(0)
    row, column = divmod(int(position), local.shape[1])
    top, left = row * STEP, column * STEP
    shown = dict([baseline, *results.items(), reference])
    images = {
        label: _png(image[top : top + side, left : left + side]) for label, image in shown.items()
    }
    return Crop(top, left, side, float(difference), images)


def _png(image: Pixels) -> str:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
