"""Validation during a run, by the protocol that everything else is measured with."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from statistics import fmean

from sr_zoo.errors import OptionError, SRZooError, TrainingError
from sr_zoo.evaluation.benchmarks import open_datasets
from sr_zoo.evaluation.candidates import Candidate
from sr_zoo.evaluation.datasets import Sample
from sr_zoo.evaluation.evaluate import evaluate
from sr_zoo.evaluation.measures import DEFAULT
from sr_zoo.evaluation.metrics import WINDOW
from sr_zoo.network import SRNetwork


class Validation:
    """Images to validate on.

    Args:
        data: Folders, or names of known data sets.
        scale: Upscaling factor.

    Attributes:
        key: Tells these images from others, wherever they lie: scores on others are no comparison.

    Raises:
        OptionError: Data cannot be had, or an image of it cannot be measured on.
    """

    def __init__(self, data: Sequence[str], scale: int) -> None:
        self.datasets, missing = open_datasets(data, [scale])
        if missing:
            raise OptionError(missing[0])

        self.key = self._check(data)

    def _check(self, data: Sequence[str]) -> str:
        """Read every image once: the first validation comes when hours have been spent."""
        samples = [sample for dataset in self.datasets for sample in dataset.samples]
        digests, problems = [], []
        for sample in samples:
            try:
                digests.append(_digest(sample))
            except SRZooError as error:
                problems.append(str(error))
        if problems or not samples:
            raise OptionError(
                f"{len(problems)} of the {len(samples)} images in {', '.join(data)} cannot be "
                f"validated on: {problems[0] if problems else 'there are none'}"
            )
        return sha256("".join(sorted(digests)).encode()).hexdigest()

    def measure(self, network: SRNetwork) -> dict[str, float]:
        """Return mean PSNR (dB) and SSIM of the luminance over all images.

        Raises:
            TrainingError: An image could not be measured on.
        """
        evaluation = evaluate([Candidate("trained", network)], self.datasets)
        known = {problem for dataset in self.datasets for problem in dataset.problems}
        failed = [problem for problem in evaluation.problems if problem not in known]
        if failed:
            raise TrainingError(f"The validation failed: {failed[0]}")
        scores = [record.scores["trained"] for record in evaluation.records]
        return {name: fmean(score[name] for score in scores) for name in DEFAULT}


def _digest(sample: Sample) -> str:
    """Return what tells an image from others, or raise why it cannot be measured on."""
    lr, hr = sample.read_stored()
    least = WINDOW + 2 * sample.scale  # a border of the scale is cut off
    if min(hr.shape[:2]) < least:
        size = f"{hr.shape[0]}x{hr.shape[1]}"
        raise OptionError(
            f"{sample.hr}: {size} pixels are fewer than the {least}x{least} that SSIM needs"
        )
    digest = sha256()
    for pixels in (hr, lr):
        if pixels is not None:  # else it is made of the other
            digest.update(str(pixels.shape).encode())
            digest.update(pixels.tobytes())
    return digest.hexdigest()
