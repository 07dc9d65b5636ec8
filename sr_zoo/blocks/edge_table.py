"""Which width of a slimmable network a patch is worth by its edges, as ARM looks it up.

Source: Chen et al., ARM, ECCV 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.blocks.patch_table import PatchTable

GRAY = (9798, 19235, 3735)  # of 2**15: OpenCV's luminance of 8-bit RGB
LAPLACE = ((2.0, 0.0, 2.0), (0.0, -8.0, 0.0), (2.0, 0.0, 2.0))
NUM_BINS = 30


@dataclass(frozen=True)
class EdgeTable(PatchTable):
    """Which PSNR each width reaches on patches of an edge score.

    Attributes:
        largest: Edge score at the end of the last bin; the bins between 0 and it are equally wide.
        psnr: dB, (widths, bins).
    """

    kind: ClassVar[str] = "edges"
    largest: float
    psnr: Tensor

    def __post_init__(self) -> None:
        if self.psnr.dim() != 2 or len(self.psnr) != len(self.widths) or self.largest <= 0:
            raise ValueError(f"{len(self.widths)} widths need as many rows of PSNR")

    @classmethod
    def fit(
        cls,
        widths: tuple[int, ...],
        cost: Tensor,
        scores: Tensor,
        psnr: Tensor,
        *,
        bins: int = NUM_BINS,
    ) -> EdgeTable:
        """Build the table from patches that all widths have run on: the mean of each bin.

        A bin without a patch takes the values of the nearest that has one.

        Args:
            widths: As in the table.
            cost: As in the table.
            scores: (N,), as `describe` gives them.
            psnr: (N, widths), dB of each patch at each width.
            bins: Of the table.

        Raises:
            ValueError: There is no patch.
        """
        if not len(scores):
            raise ValueError("a table needs at least one patch to be measured on")
        scores, psnr = scores.cpu().double(), psnr.cpu().double()
        largest = float(scores.max()) or 1.0  # patches without any edge
        members = (scores * (bins / largest)).long().clamp(max=bins - 1)
        count = torch.bincount(members, minlength=bins)
        total = psnr.new_zeros(bins, psnr.shape[1]).index_add_(0, members, psnr)
        filled = count.nonzero().flatten()
        nearest = filled[(torch.arange(bins, device="cpu")[:, None] - filled).abs().argmin(1)]
        mean = total[nearest] / count[nearest, None]
        return cls(widths, cost, largest, mean.t().contiguous())

    def describe(self, patches: Tensor) -> Tensor:
        return edge_scores(patches)

    def predict(self, kinds: Tensor) -> Tensor:
        bins = self.psnr.shape[1]
        centres = torch.arange(bins, dtype=torch.float64, device="cpu") + 0.5
        centres *= self.largest / bins
        nearest = (kinds.cpu().double()[:, None] - centres).abs().argmin(1)
        return self.psnr[:, nearest].t()


def edge_scores(patches: Tensor) -> Tensor:
    """Return the average strength of edges in patches (N, 3, h, w) in [0, 1], as 8-bit levels."""
    levels = (patches.float() * 255).round().clamp(0, 255)
    weights = levels.new_tensor(GRAY).view(1, 3, 1, 1)
    gray = (((levels * weights).sum(1, keepdim=True) + 2**14) / 2**15).floor()
    mirrored = F.pad(
        gray, (1, 1, 1, 1), mode="reflect" if min(gray.shape[-2:]) > 1 else "replicate"
    )
    edges = F.conv2d(mirrored, levels.new_tensor(LAPLACE)[None, None])
    return edges.abs().clamp(max=255).mean((1, 2, 3))
