"""A run's log as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw_curve(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Draw loss and validation PSNR over iterations.

    Args:
        rows: Lines of a run's `log.csv`.
        path: A PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    lost = [(int(r["iteration"]), float(r["loss"])) for r in rows if r.get("loss")]  # 0 has none
    left.plot(*zip(*lost, strict=True), color="tab:blue", label="loss")
    left.set_xlabel("iteration")
    left.set_ylabel("loss", color="tab:blue")
    left.set_yscale("log")
    measured = [(int(r["iteration"]), float(r["psnr_y"])) for r in rows if r.get("psnr_y")]
    if measured:
        right = left.twinx()
        right.plot(*zip(*measured, strict=True), color="tab:orange", marker=".", label="PSNR")
        right.set_ylabel("validation PSNR (Y), dB", color="tab:orange")
    figure.savefig(path, format="png")
