"""One pass over images with several networks: scores, their means, and where networks differ."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_zoo import __version__
from sr_zoo.errors import FileWriteError, OptionError, SRZooError
from sr_zoo.evaluation.candidates import Candidate
from sr_zoo.evaluation.complexity import Complexity, Speed, count_complexity, measure_speed
from sr_zoo.evaluation.crops import Crop, crop_where_different
from sr_zoo.evaluation.datasets import EvalSet, Sample
from sr_zoo.evaluation.journal import Journal
from sr_zoo.evaluation.measures import DEFAULT, Measure, measures
from sr_zoo.evaluation.resize import imresize
from sr_zoo.inference.runtimes.exported import ExportedNetwork
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.network import device_of, weight_of

Pixels = NDArray[np.uint8]

CROPS_PER_SET = 4
BASELINE, REFERENCE = "LR bicubic", "HR"
PROBE_SIDE = 192  # large enough for every measure


@dataclass(frozen=True)
class Options:
    """How results are made and measured.

    Attributes:
        measures: Names in `sr_zoo.evaluation.measures.MEASURES`.
        tile: As for `Upscaler`; None runs whole images, as papers do.
        self_ensemble: Whether each result is the mean over eight flips and rotations.
        crops: Whether to keep the squares where results differ most.
    """

    measures: tuple[str, ...] = DEFAULT
    tile: int | str | None = None
    self_ensemble: bool = False
    crops: bool = False


@dataclass(frozen=True)
class Record:
    """What was measured on one image.

    Attributes:
        dataset: Name of its data set.
        scale: Upscaling factor.
        image: Its name.
        scores: Candidate's label to measure to score.
        crop: Where the results differ most.
        problems: Measures that the image is not fit for, a sentence each.
    """

    dataset: str
    scale: int
    image: str
    scores: dict[str, dict[str, float]]
    crop: Crop | None = None
    problems: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Record:
        """Build a record from what `dataclasses.asdict` and JSON made of it."""
        crop = record["crop"]
        return cls(
            **{
                **record,
                "crop": crop and Crop(**crop),
                "problems": tuple(record["problems"]),
            }
        )


@dataclass(frozen=True)
class Row:
    """A network's mean scores on one data set.

    Attributes:
        candidate: Its label.
        scale: Upscaling factor.
        dataset: Name of the data set.
        images: How many were measured.
        scores: Measure to mean.
    """

    candidate: str
    scale: int
    dataset: str
    images: int
    scores: dict[str, float]


@dataclass
class Evaluation:
    """All that was measured.

    Attributes:
        candidates: What was measured.
        options: How.
        complexity: Label and scale to cost; not of exported files, which do not tell.
        speed: Label and scale to speed, where it was asked for.
        records: One per image.
        problems: What went wrong or was left out, a sentence each.
    """

    candidates: list[Candidate]
    options: Options
    complexity: dict[tuple[str, int], Complexity] = field(default_factory=dict)
    speed: dict[tuple[str, int], Speed] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """Yield the means, by scale, candidate and data set in the order they were given."""
        sets = dict.fromkeys((record.scale, record.dataset) for record in self.records)
        for candidate in self.candidates:
            for scale, dataset in sets:
                if scale == candidate.scale:
                    yield self._row(candidate.label, scale, dataset)

    def _row(self, label: str, scale: int, dataset: str) -> Row:
        scores = [
            record.scores[label]
            for record in self.records
            if (record.scale, record.dataset) == (scale, dataset)
        ]
        means = {}
        for measure in self.options.measures:
            values = [score[measure] for score in scores if measure in score]
            if values:
                means[measure] = fmean(values)
        return Row(label, scale, dataset, len(scores), means)

    def crops(self) -> Iterator[Record]:
        """Yield the records that show most, of each data set and scale."""
        sets = dict.fromkeys((record.scale, record.dataset) for record in self.records)
        for key in sets:
            shown = [r for r in self.records if (r.scale, r.dataset) == key and r.crop]
            shown.sort(key=lambda record: -(record.crop.difference if record.crop else 0))
            yield from shown[:CROPS_PER_SET]


def evaluate(
    candidates: Sequence[Candidate],
    datasets: Sequence[EvalSet],
    options: Options | None = None,
    *,
    journal: Path | None = None,
    time_for: float | None = None,
    advance: Callable[[str], object] = lambda _: None,
) -> Evaluation:
    """Measure networks on data sets; each image is read once for all networks of its scale.

    Args:
        candidates: On their devices.
        datasets: Those whose scale no candidate has are left out.
        options: None for the papers' protocol.
        journal: File that keeps what is finished; images that it holds with the same weights,
            pixels and options are not measured again.
        time_for: Seconds to time each network for; None not to.
        advance: Called with the image's name after each image.

    Returns:
        The scores. Images that could not be measured are among its problems.

    Raises:
        OptionError: A measure is unknown, needs a package that is not installed, two data sets of
            one scale have one name, there is no image for any candidate, or `time_for` is not
            above zero.
        FileWriteError: The journal cannot be written to; what it holds counts in the next run.
        DownloadError: A measure needs weights that cannot be fetched.
    """
    options = options or Options()
    if time_for is not None and not 0 < time_for < math.inf:
        raise OptionError(f"The time to measure for must be above zero seconds, got {time_for:g}")
    chosen = measures(options.measures)
    _check_names(datasets)
    _probe(chosen)
    evaluation = Evaluation(list(candidates), options)
    runs = [_Run(c, options) for c in candidates]
    done = Journal(journal) if journal else None
    for dataset in datasets:
        fitting = [run for run in runs if run.candidate.scale == dataset.scale]
        evaluation.problems += dataset.problems if fitting else ()
        for sample in dataset.samples if fitting else ():
            try:
                record = _record(dataset, sample, fitting, chosen, options, done)
                evaluation.records.append(record)
                evaluation.problems += record.problems
            except FileWriteError:  # what follows could not be kept either
                raise
            except (SRZooError, MemoryError, torch.OutOfMemoryError) as error:
                evaluation.problems.append(f"{dataset.name}, {sample.name}: {error}")
            advance(sample.name)
    if not evaluation.records:
        raise OptionError("; ".join(evaluation.problems) or "There is no image to measure.")
    for candidate in candidates:
        key = (candidate.label, candidate.scale)
        if not isinstance(candidate.network, ExportedNetwork):
            evaluation.complexity[key] = count_complexity(candidate.network)
        if time_for is not None:
            evaluation.speed[key] = measure_speed(candidate.network, seconds=time_for)
    return evaluation


def _check_names(datasets: Sequence[EvalSet]) -> None:
    """Refuse data sets whose scores would be averaged into one row."""
    for (name, scale), times in Counter((d.name, d.scale) for d in datasets).items():
        if times > 1:
            raise OptionError(
                f"{name!r} stands for {times} data sets at scale {scale}; open each by another "
                "name, as open_folder takes it."
            )


class _Run:
    """A candidate ready to upscale."""

    def __init__(self, candidate: Candidate, options: Options) -> None:
        self.candidate = candidate
        self._upscaler = Upscaler(
            candidate.network,
            device=device_of(candidate.network),
            dtype=None,
            runtime="auto" if isinstance(candidate.network, ExportedNetwork) else "torch",
            tile=options.tile,
            self_ensemble=options.self_ensemble,
        )

    def __call__(self, lr: Pixels) -> Pixels:
        return np.asarray(self._upscaler(lr))


def _probe(chosen: Sequence[Measure]) -> None:
    """Try the measures that need more than this package, before hours are spent."""
    noise = np.random.RandomState(0).randint(0, 256, (PROBE_SIDE, PROBE_SIDE, 3)).astype(np.uint8)
    for measure in chosen:
        if measure.name not in DEFAULT:
            measure.function(noise, noise, shave=0)


def _record(
    dataset: EvalSet,
    sample: Sample,
    runs: Sequence[_Run],
    chosen: Sequence[Measure],
    options: Options,
    done: Journal | None,
) -> Record:
    """Return what the journal has of an image, or measure it."""
    lr, hr = sample.read()
    if done is None:
        return _measure(dataset, sample, (lr, hr), runs, chosen, options)
    key = _key(lr, hr, runs, options)
    if (known := done.find(key)) is not None:
        return Record.from_json({**known, "dataset": dataset.name, "image": sample.name})
    record = _measure(dataset, sample, (lr, hr), runs, chosen, options)
    done.append(key, asdict(record))
    return record


def _key(lr: Pixels, hr: Pixels, runs: Sequence[_Run], options: Options) -> str:
    """Return a digest of everything that scores depend on."""
    weights = [weight_of(run.candidate.network).dtype for run in runs]
    facts = [
        __version__,
        [(run.candidate.label, run.candidate.fingerprint) for run in runs],
        [str(dtype) for dtype in weights],
        asdict(options),
        [(pixels.shape, hashlib.sha256(pixels.tobytes()).hexdigest()) for pixels in (lr, hr)],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _measure(
    dataset: EvalSet,
    sample: Sample,
    pixels: tuple[Pixels, Pixels],
    runs: Sequence[_Run],
    chosen: Sequence[Measure],
    options: Options,
) -> Record:
    lr, hr = pixels
    results = {run.candidate.label: run(lr) for run in runs}
    scores: dict[str, dict[str, float]] = {label: {} for label in results}
    problems = []
    for measure in chosen:
        try:
            for label, result in results.items():
                scores[label][measure.name] = measure.function(result, hr, shave=sample.scale)
        except SRZooError as error:
            problems.append(f"{dataset.name}, {sample.name}, {measure.name}: {error}")
    crop = None
    if options.crops:
        baseline = (BASELINE, imresize(lr, sample.scale))
        crop = crop_where_different(results, baseline, (REFERENCE, hr))
    return Record(dataset.name, sample.scale, sample.name, scores, crop, tuple(problems))
