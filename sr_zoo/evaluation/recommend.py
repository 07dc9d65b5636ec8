"""Which model to use, by what `sr-zoo bench` measured on this machine or on the library's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sr_zoo.errors import OptionError
from sr_zoo.weights.manifest import load_manifest

MEASURED = Path(__file__).with_name("bench.json")
DATASET, MEASURE = "Set5", "psnr_y"


@dataclass(frozen=True)
class Recommendation:
    """A way to upscale.

    Attributes:
        weights: Manifest id, as `Upscaler` takes it.
        runtime: As `Upscaler` takes it.
        dtype: As `Upscaler` takes it.
        milliseconds: Of the processor's time for the measured image size, median.
        psnr: On the luminance of Set5, in dB.
    """

    weights: str
    runtime: str
    dtype: str
    milliseconds: float
    psnr: float


def recommend(
    scale: int = 4,
    *,
    max_ms: float | None = None,
    min_psnr: float | None = None,
    bench: Path | None = None,
) -> list[Recommendation]:
    """Return what reaches the wishes, the best pictures first.

    Args:
        scale: Upscaling factor.
        max_ms: Most milliseconds of the processor's time for an image of the measured size,
            320x180 in the library's own measurement.
        min_psnr: Least PSNR on the luminance of Set5 in dB.
        bench: A file that ``sr-zoo bench -o`` wrote on the machine in question; None for what was
            measured for the library's own documentation.

    Raises:
        OptionError: Nothing that was measured is fast and good enough; the message says what comes
            closest.
    """
    timings = json.loads((bench or MEASURED).read_text(encoding="utf-8"))["timings"]
    known = scored([timing for timing in timings if timing["scale"] == scale])
    fitting = [
        r
        for r in known
        if (max_ms is None or r.milliseconds <= max_ms) and (min_psnr is None or r.psnr >= min_psnr)
    ]
    if not fitting:
        raise OptionError(_nothing(known, scale, max_ms, min_psnr))
    return sorted(fitting, key=lambda r: (-r.psnr, r.milliseconds))


def scored(timings: Sequence[Mapping[str, Any]]) -> list[Recommendation]:
    """Join timings with the scores that the manifest knows of the models' weights."""
    return [
        Recommendation(
            entry.id,
            timing["runtime"],
            timing["dtype"],
            timing["cpu_seconds"] * 1e3,
            entry.metrics[DATASET][MEASURE],
        )
        for timing in timings
        for entry in load_manifest().of_model(timing["model"])
        if entry.scale == timing["scale"] and MEASURE in entry.metrics.get(DATASET, {})
    ]


def _nothing(
    known: list[Recommendation], scale: int, max_ms: float | None, min_psnr: float | None
) -> str:
    if not known:
        return f"Nothing with known scores was measured at scale {scale}; run sr-zoo bench"
    fastest = min(known, key=lambda r: r.milliseconds)
    best = max(known, key=lambda r: r.psnr)
    return (
        f"Nothing at scale {scale} takes at most {max_ms} ms and reaches {min_psnr} dB; the "
        f"fastest is {fastest.weights} ({fastest.milliseconds:.0f} ms), the best {best.weights} "
        f"({best.psnr:.2f} dB)"
    )
