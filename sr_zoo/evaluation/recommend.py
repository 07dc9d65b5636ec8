"""Which model to use, by what `sr-zoo bench` measured on this machine or on the library's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Real
from pathlib import Path
from typing import Any

from sr_zoo.errors import OptionError
from sr_zoo.inference.size import is_count
from sr_zoo.paths import as_path
from sr_zoo.weights.manifest import load_manifest

MEASURED = Path(__file__).with_name("bench.json")
DATASET, MEASURE = "Set5", "psnr_y"
ADVICE = "name a bench.json that sr-zoo bench -o wrote"


@dataclass(frozen=True)
class Recommendation:
    """A way to upscale.

    Attributes:
        weights: Manifest id, as `Upscaler` takes it.
        runtime: As `Upscaler` takes it.
        dtype: As `Upscaler` takes it.
        milliseconds: Of the processor's time for an image of `size`, median.
        psnr: On the luminance of Set5, in dB.
        size: Width and height of what was measured, in LR pixels.
    """

    weights: str
    runtime: str
    dtype: str
    milliseconds: float
    psnr: float
    size: tuple[int, int]


def recommend(
    scale: int = 4,
    *,
    max_ms: float | None = None,
    min_psnr: float | None = None,
    size: tuple[int, int] | None = None,
    bench: str | Path | None = None,
) -> list[Recommendation]:
    """Return what reaches the wishes, the best pictures first.

    Args:
        scale: Upscaling factor.
        max_ms: Most milliseconds of the processor's time for an image of `size`.
        min_psnr: Least PSNR on the luminance of Set5 in dB.
        size: Width and height of the measured image in LR pixels; None for the largest, which is
            320x180 in the library's own measurement.
        bench: A file that ``sr-zoo bench -o`` wrote on the machine in question; None for what was
            measured for the library's own documentation.

    Raises:
        OptionError: Nothing that was measured is fast and good enough, and the message says what
            comes closest; nothing of this size was measured; `bench` is no such file; or another
            wish is no number.
    """
    for name, wish in (("scale", scale), ("max_ms", max_ms), ("min_psnr", min_psnr)):
        if wish is not None and (isinstance(wish, bool) or not isinstance(wish, Real)):
            raise OptionError(f"{name} must be a number, got {wish!r}")
    size = None if size is None else _checked(size)
    file = MEASURED if bench is None else as_path(bench, "bench")
    known = _of_size(_read(file, scale), scale, size)
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
            (timing["width"], timing["height"]),
        )
        for timing in timings
        for entry in load_manifest().of_model(timing["model"])
        if entry.scale == timing["scale"] and MEASURE in entry.metrics.get(DATASET, {})
    ]


def _read(path: Path, scale: int) -> list[Recommendation]:
    """Return everything with known scores that a file holds of a scale."""
    try:
        timings = json.loads(path.read_text(encoding="utf-8"))["timings"]
        return scored([timing for timing in timings if timing["scale"] == scale])
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror}); {ADVICE}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError(f"{path} holds no timings; {ADVICE}") from error


def _checked(size: Sequence[int]) -> tuple[int, int]:
    two = isinstance(size, Sequence) and len(size) == 2
    if not (two and all(is_count(side, least=1) for side in size)):
        raise OptionError(f"size must be a width and a height such as (320, 180), got {size!r}")
    width, height = size
    return width, height


def _of_size(
    known: list[Recommendation], scale: int, size: tuple[int, int] | None
) -> list[Recommendation]:
    """Return what was measured of one size; times of several do not compare."""
    measured = sorted({r.size for r in known}, key=prod)
    if size is not None and measured and size not in measured:
        raise OptionError(
            f"{_text(size)} was not measured at scale {scale}, but "
            f"{', '.join(map(_text, measured))}; choose one of these"
        )
    return [r for r in known if r.size == (size or measured[-1])]


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _nothing(
    known: list[Recommendation], scale: int, max_ms: float | None, min_psnr: float | None
) -> str:
    if not known:
        return f"Nothing with known scores was measured at scale {scale}; run sr-zoo bench"
    fastest = min(known, key=lambda r: r.milliseconds)
    best = max(known, key=lambda r: r.psnr)
    wishes = [
        *([] if max_ms is None else [f"in at most {max_ms} ms"]),
        *([] if min_psnr is None else [f"to at least {min_psnr} dB"]),
    ]
    return (
        f"Nothing at scale {scale} enlarges {_text(best.size)} {' and '.join(wishes)}; the fastest "
        f"is {fastest.weights} ({fastest.milliseconds:.0f} ms), the best {best.weights} "
        f"({best.psnr:.2f} dB)"
    )
