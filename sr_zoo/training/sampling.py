"""Drawing patches so that rare, textured ones are seen as often as frequent, flat ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from sr_zoo.blocks import grey_gradients

NUM_CLASSES = 10
TOP = 0.99  # of all patches; the last class takes the rest, so that a few do not set its width

Pixels = NDArray[np.uint8]


class EqualisedPlaces:
    """Places of patches, those of every class of texture equally often at first.

    Places lie on a grid of half a patch. Their class is the mean gradient magnitude of the LR
    patch, in ten bins of equal width; bins without a place do not count. With a probability that
    falls linearly from one to none over the run a class is drawn evenly, then a place of it;
    otherwise nothing is, and the patch is any. A reading of the hierarchical equalisation sampling
    of Yu et al., WBSR, NeurIPS 2024, which names it and gives no formula.

    Attributes:
        classes: Of each class its places: (places, 3), number of the image, top, left in LR pixels.

    Args:
        images: LR images, 8-bit (H, W, 3), none smaller than a patch.
        side: Side of an LR patch in pixels.
        total: Patches of the whole run.
    """

    def __init__(self, images: Iterable[Pixels], side: int, total: int) -> None:
        self.total = total
        step = max(side // 2, 1)
        places, textures = [], []
        for number, image in enumerate(images):
            found = mean_texture(image, side, step)
            rows, columns = np.indices(found.shape).reshape(2, -1) * step
            places.append(np.stack([np.full_like(rows, number), rows, columns], axis=1))
            textures.append(found.ravel())
        texture = np.concatenate(textures)
        width = float(np.quantile(texture, TOP)) / NUM_CLASSES or 1.0  # 1 where nearly all is flat
        class_of = np.minimum(texture / width, NUM_CLASSES - 1).astype(int)
        every = np.concatenate(places)
        self.classes = [every[class_of == i] for i in np.unique(class_of)]

    def draw(self, number: int, rng: np.random.Generator) -> tuple[int, int, int] | None:
        """Return image, top and left of a patch by its number in the run; None for any patch."""
        if rng.random() * self.total < number:
            return None
        members = self.classes[rng.integers(len(self.classes))]
        image, top, left = members[rng.integers(len(members))].tolist()
        return image, top, left


def mean_texture(image: Pixels, side: int, step: int) -> NDArray[np.float32]:
    """Return the mean gradient magnitude of the squares of a grid, (rows, columns), 8-bit levels.

    Args:
        image: (H, W, 3).
        side: Of a square in pixels.
        step: Pixels from one square to the next.
    """
    pixels = torch.from_numpy(np.array(image)).movedim(-1, 0)[None].float()
    down, right = grey_gradients(pixels)
    magnitude = (down.square() + right.square()).sqrt()
    squares: NDArray[np.float32] = F.avg_pool2d(magnitude, side, step)[0, 0].numpy()
    return squares
