"""Validation during a run, by the protocol that everything else is measured with."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from sr_zoo.errors import OptionError
from sr_zoo.evaluation.benchmarks import open_datasets
from sr_zoo.evaluation.candidates import Candidate
from sr_zoo.evaluation.evaluate import evaluate
from sr_zoo.network import SRNetwork


class Validation:
    """Images to validate on.

    Args:
        data: Folders, or names of known data sets.
        scale: Upscaling factor.

    Raises:
        OptionError: Data cannot be had.
    """

    def __init__(self, data: Sequence[str], scale: int) -> None:
        self.datasets, missing = open_datasets(data, [scale])
        if missing:
            raise OptionError(missing[0])

    def measure(self, network: SRNetwork) -> dict[str, float]:
        """Return mean PSNR (dB) and SSIM of the luminance over all images."""
        evaluation = evaluate([Candidate("trained", network)], self.datasets)
        scores = [record.scores["trained"] for record in evaluation.records]
        return {name: fmean(score[name] for score in scores) for name in ("psnr_y", "ssim_y")}
