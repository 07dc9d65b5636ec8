"""Measuring on example images which width of a slimmable network a kind of patch needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_zoo.blocks import EdgeTable, GradientTable, edge_table, patch_table
from sr_zoo.blocks.tile_view import exact
from sr_zoo.errors import OptionError
from sr_zoo.evaluation.datasets import read_rgb
from sr_zoo.evaluation.resize import imresize
from sr_zoo.imaging.folder import READABLE_SUFFIXES
from sr_zoo.models.arm import PATCH, SCALE, AnyTimeNetwork, cut_patches
from sr_zoo.network import weight_of

PERFECT = 80.0  # dB, of a patch without any error, as ARM's authors count it


def measure_edge_table(
    network: AnyTimeNetwork,
    folder: str | Path,
    *,
    bins: int = edge_table.NUM_BINS,
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
) -> EdgeTable:
    """Run every width on all patches of a folder's images, and note which PSNR each reaches.

    ``network.table = measure_edge_table(network, folder)`` makes the network choose by it, and
    ``network.save_pretrained`` writes it with the weights. PSNR is over RGB, in 8 bits, without
    `scale` pixels at each border, as ARM's authors measure their own tables.

    Args:
        network: In evaluation mode.
        folder: HR images, looked through with its subfolders; LR ones are made by MATLAB's bicubic.
        bins: Of the table.
        progress: Called with the list of files; returns what to loop over.

    Raises:
        OptionError: The folder holds no image as large as a patch.
        ImageReadError: A file is damaged.
    """

    def psnr(enlarged: Tensor, truth: Tensor) -> Tensor:
        inner = (..., slice(SCALE, -SCALE), slice(SCALE, -SCALE))
        wrong = ((enlarged * 255).round() - (truth * 255).round())[inner]
        return (-10 * exact(wrong / 255).square().mean((1, 2, 3)).log10()).clamp(max=PERFECT)

    scores, reached = _measured(network, folder, edge_table.edge_scores, psnr, progress)
    return EdgeTable.fit(network.widths, _cost(network), scores, reached, bins=bins)


def measure_gradient_table(
    network: AnyTimeNetwork,
    folder: str | Path,
    *,
    bins: int = patch_table.NUM_BINS,
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
) -> GradientTable:
    """Run every width on all patches of a folder's images, and note how wrong each is.

    Used as `measure_edge_table` is; the same arguments and errors.
    """

    def error(enlarged: Tensor, truth: Tensor) -> Tensor:
        return (enlarged - truth).square().mean((1, 2, 3))

    kinds, errors = _measured(network, folder, patch_table.gradient_projection, error, progress)
    return GradientTable.fit(network.widths, _cost(network), kinds, errors, bins=bins)


def _cost(network: AnyTimeNetwork) -> Tensor:
    """Return the multiply-adds of a patch at each width."""
    cost = [network.macs_per_pixel(width) * PATCH**2 if width else 0.0 for width in network.widths]
    return torch.tensor(cost, dtype=torch.float64)


def _measured(
    network: AnyTimeNetwork,
    folder: str | Path,
    describe: Callable[[Tensor], Tensor],
    judge: Callable[[Tensor, Tensor], Tensor],
    progress: Callable[[list[Path]], Iterable[Path]],
) -> tuple[Tensor, Tensor]:
    """Return what all patches of a folder are like (N, ...), and how each width fares (N, widths).

    Args:
        network: In evaluation mode.
        folder: With HR images.
        describe: From LR patches (N, 3, h, w) to what they are like.
        judge: From enlarged patches and the HR ones to a number for each.
        progress: As for `measure_edge_table`.
    """
    files = [f for f in sorted(Path(folder).rglob("*")) if f.suffix.lower() in READABLE_SUFFIXES]
    kinds, judged = [], []
    for file in progress(files):
        for lr, hr in _patches(network, read_rgb(file)):
            kinds.append(describe(lr).cpu())
            judged.append(_judged(network, lr, hr, judge))
    if not kinds:
        side = PATCH * network.scale
        raise OptionError(
            f"{folder} holds no image of {side}x{side} pixels or more to measure a table on"
        )
    return torch.cat(kinds), torch.cat(judged)


@torch.inference_mode()
def _judged(
    network: AnyTimeNetwork,
    lr: Tensor,
    hr: Tensor,
    judge: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return how each width fares on patches: (N, widths)."""
    widths = range(len(network.widths))
    enlarged = (network.enlarge(lr, torch.full((len(lr),), index)) for index in widths)
    return torch.stack([judge(large.clamp(0, 1), hr) for large in enlarged], dim=1).cpu()


def _patches(network: AnyTimeNetwork, image: NDArray[np.uint8]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the LR and HR patches of an image, all at once; nothing if it is smaller than one."""
    scale = network.scale
    height, width = (side // scale * scale for side in image.shape[:2])
    if min(height, width) < PATCH * scale:
        return
    large = image[:height, :width]
    hr, lr = (_tensor(pixels, network) for pixels in (large, imresize(large, 1 / scale)))
    patches, places = cut_patches(lr)
    side = PATCH * scale
    yield (
        patches,
        torch.cat(
            [hr[..., scale * top :, scale * left :][..., :side, :side] for top, left in places]
        ),
    )


def _tensor(pixels: NDArray[np.uint8], network: AnyTimeNetwork) -> Tensor:
    image = torch.from_numpy(np.array(pixels)).movedim(-1, 0)[None]
    return image.to(weight_of(network)) / 255
