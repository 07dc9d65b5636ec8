"""PSNR as it is published for networks whose authors never show them a whole image.

The evaluation code of ESRT and FIWHN cuts each image into four quadrants that overlap, larger ones
again, and puts the four outputs together. Prints, for each network and data set, what that gives
beside what the whole image gives: ``python benchmarks/quadrants.py fiwhn_x3.official Set5 Set14``
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from sr_zoo.evaluation.benchmarks import open_datasets
from sr_zoo.evaluation.candidates import Candidate, find_candidates
from sr_zoo.evaluation.evaluate import evaluate
from sr_zoo.network import SRNetwork

OVERLAP = 10  # LR pixels that each quadrant reaches over the middle
LARGEST = 40_000  # LR pixels of a quadrant that is not cut again


class Quadrants(SRNetwork):
    """Runs a network as its authors' evaluation code does."""

    def __init__(self, network: SRNetwork) -> None:
        super().__init__(network.scale)
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return in_quadrants(self.network, x, self.scale)


def in_quadrants(network: Callable[[Tensor], Tensor], x: Tensor, scale: int) -> Tensor:
    """Run a network on four overlapping parts of an image, and put their outputs together."""
    height, width = x.shape[-2:]
    strips = []
    for rows, kept_rows in halves(height, scale):
        quadrants = []
        for columns, kept_columns in halves(width, scale):
            part = x[..., rows, columns]
            large = part.shape[-2] * part.shape[-1] >= LARGEST
            output = in_quadrants(network, part, scale) if large else network(part)
            quadrants.append(output[..., kept_rows, kept_columns])
        strips.append(torch.cat(quadrants, dim=-1))
    return torch.cat(strips, dim=-2)


def halves(side: int, scale: int) -> list[tuple[slice, slice]]:
    """Return the LR cells of both halves of an axis, and the HR cells kept of each output."""
    half = side // 2
    seen = half + OVERLAP
    return [
        (slice(0, seen), slice(0, half * scale)),
        (slice(side - seen, side), slice((seen - side + half) * scale, None)),
    ]


def main() -> None:
    """Measure the networks that are named on the data sets that are named."""
    known = ("Set5", "Set14", "BSDS100", "Urban100", "Manga109")
    models = [name for name in sys.argv[1:] if name not in known]
    sets = [name for name in sys.argv[1:] if name in known]
    candidates, _ = find_candidates(models)
    both = [
        form
        for whole in candidates
        for form in (whole, Candidate(f"{whole.label}, quadrants", Quadrants(whole.network).eval()))
    ]
    datasets, _ = open_datasets(sets, sorted({candidate.scale for candidate in candidates}))
    for row in evaluate(both, datasets).rows():
        print(f"- {row.candidate} on {row.dataset}: {row.scores['psnr_y']:.4f} dB")


if __name__ == "__main__":
    main()
