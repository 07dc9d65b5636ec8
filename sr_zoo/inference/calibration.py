"""Measuring on example images which width of a slimmable network a kind of patch needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_zoo.blocks import GradientTable
from sr_zoo.blocks.patch_table import NUM_BINS, gradient_projection
from sr_zoo.errors import OptionError
from sr_zoo.evaluation.datasets import read_rgb
from sr_zoo.evaluation.resize import imresize
from sr_zoo.imaging.folder import READABLE_SUFFIXES
from sr_zoo.models.arm import PATCH, AnyTimeNetwork, cut_patches


def measure_gradient_table(
    network: AnyTimeNetwork,
    folder: str | Path,
    *,
    bins: int = NUM_BINS,
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
) -> GradientTable:
    """Run every width on all patches of a folder's images, and note how wrong each is.

    ``network.table = measure_gradient_table(network, folder)`` makes the network choose by it.

    Args:
        network: In evaluation mode.
        folder: HR images, looked through with its subfolders; LR ones are made by MATLAB's bicubic.
        bins: Of the table, along each axis.
        progress: Called with the list of files; returns what to loop over.

    Raises:
        OptionError: The folder holds no image as large as a patch.
        ImageReadError: A file is damaged.
    """
    files = [f for f in sorted(Path(folder).rglob("*")) if f.suffix.lower() in READABLE_SUFFIXES]
    measured = [_measure(network, read_rgb(file)) for file in progress(files)]
    if not any(len(gradients) for gradients, _ in measured):
        side = PATCH * network.scale
        raise OptionError(
            f"{folder} holds no image of {side}x{side} pixels or more to measure a table on"
        )
    gradients, errors = (torch.cat(part) for part in zip(*measured, strict=True))
    widths = network.table.widths
    cost = [network.macs_per_pixel(width) * PATCH**2 if width else 0.0 for width in widths]
    return GradientTable.fit(
        widths, torch.tensor(cost, dtype=torch.float64), gradients, errors, bins=bins
    )


@torch.inference_mode()
def _measure(network: AnyTimeNetwork, image: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Return the gradients (N, 2) of an image's patches, and their errors (N, widths)."""
    scale, count = network.scale, len(network.table.widths)
    height, width = (side // scale * scale for side in image.shape[:2])
    if min(height, width) < PATCH * scale:
        return torch.empty(0, 2), torch.empty(0, count)
    large = image[:height, :width]
    hr, lr = (_tensor(pixels, network) for pixels in (large, imresize(large, 1 / scale)))
    patches, places = cut_patches(lr)
    side = PATCH * scale
    truth = torch.cat(
        [hr[..., scale * top :, scale * left :][..., :side, :side] for top, left in places]
    )
    errors = []
    for index in range(count):
        enlarged = network.enlarge(patches, torch.full((len(patches),), index))
        errors.append((enlarged.clamp(0, 1) - truth).square().mean((1, 2, 3)))
    return gradient_projection(patches).cpu(), torch.stack(errors, dim=1).cpu()


def _tensor(pixels: NDArray[np.uint8], network: AnyTimeNetwork) -> Tensor:
    image = torch.from_numpy(np.array(pixels)).movedim(-1, 0)[None]
    return image.to(next(network.parameters())) / 255
