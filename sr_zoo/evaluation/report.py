"""An evaluation as tables, data files and one HTML page."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, select_autoescape
from rich.table import Table

from sr_zoo import __version__
from sr_zoo.atomic import make_folder, write_atomically
from sr_zoo.errors import OptionError
from sr_zoo.evaluation.complexity import Complexity
from sr_zoo.evaluation.evaluate import Evaluation, Record, Row
from sr_zoo.evaluation.measures import MEASURES

COST_AXES = {"num_params": "Parameters (K)", "macs": "Multiply-adds (G) at 1280x720"}
COST_UNITS = {"num_params": 1e3, "macs": 1e9}


def table(evaluation: Evaluation) -> Table:
    """Return the means as papers print them: a line per network, a column per data set."""
    sets = list(dict.fromkeys(row.dataset for row in evaluation.rows()))
    shown = Table(*("Model", "Scale", "Params", "MACs"), box=None, pad_edge=False)
    for column in shown.columns[1:]:
        column.justify = "right"
    if evaluation.speed:
        shown.add_column("Latency", justify="right")
    for dataset in sets:
        shown.add_column(f"{dataset}\n{'/'.join(evaluation.options.measures)}", justify="right")
    for line in lines(evaluation):
        cells = [line["model"], f"x{line['scale']}", line["params"], line["macs"]]
        if evaluation.speed:
            cells.append(line["latency"])
        scores = (line["rows"].get(dataset) for dataset in sets)
        cells += [
            "/".join(_cells(row, evaluation.options.measures)) if row else "-" for row in scores
        ]
        shown.add_row(*cells)
    return shown


def lines(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return one dictionary per network and scale, costs as text, with its rows by data set."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in evaluation.rows():
        key = (row.candidate, row.scale)
        if key not in found:
            speed = evaluation.speed.get(key)
            found[key] = {
                "model": row.candidate,
                "scale": row.scale,
                **_cost_cells(evaluation.complexity.get(key)),
                "latency": f"{speed.latency * 1e3:,.0f} ms" if speed else "",
                "rows": {},
            }
        found[key]["rows"][row.dataset] = row
    return list(found.values())


def _cost_cells(cost: Complexity | None) -> dict[str, str]:
    if cost is None:
        return dict.fromkeys(("params", "macs", "activations", "memory"), "-")
    return {
        "params": f"{cost.num_params / 1e3:,.0f}K",
        "macs": f"{cost.macs / 1e9:,.1f}G",
        "activations": f"{cost.activations / 1e6:,.1f}M",
        "memory": f"{cost.peak_memory / 2**20:,.0f} MiB",
    }


def _cells(row: Row, measures: Sequence[str]) -> Iterator[str]:
    for name in measures:
        value = row.scores.get(name)
        yield "-" if value is None else f"{value:.{MEASURES[name].decimals}f}"


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything that was measured as JSON data; infinite scores (equal images) are null."""
    return {
        "sr_zoo": __version__,
        "torch": torch.__version__,
        "options": asdict(evaluation.options),
        "models": [
            {"model": each.label, "scale": each.scale}
            | _cost(evaluation, (each.label, each.scale))
            | _speed(evaluation, (each.label, each.scale))
            for each in evaluation.candidates
        ],
        "means": [
            {
                "model": row.candidate,
                "scale": row.scale,
                "dataset": row.dataset,
                "images": row.images,
                **_finite(row.scores),
            }
            for row in evaluation.rows()
        ],
        "images": [
            {
                "model": label,
                "scale": record.scale,
                "dataset": record.dataset,
                "image": record.image,
                **_finite(scores),
            }
            for record in evaluation.records
            for label, scores in record.scores.items()
        ],
        "problems": evaluation.problems,
    }


def _cost(evaluation: Evaluation, key: tuple[str, int]) -> dict[str, int]:
    cost = evaluation.complexity.get(key)
    return asdict(cost) if cost else {}


def _speed(evaluation: Evaluation, key: tuple[str, int]) -> dict[str, float]:
    speed = evaluation.speed.get(key)
    return {"latency": speed.latency} if speed else {}


def _finite(scores: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def as_csv(evaluation: Evaluation) -> str:
    """Return the scores of each image and network as CSV, a line each."""
    text = StringIO()
    fields = ["model", "scale", "dataset", "image", *evaluation.options.measures]
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(as_json(evaluation)["images"])
    return text.getvalue()


def as_html(evaluation: Evaluation, title: str) -> str:
    """Return a page that needs no other file: tables, plots, scores of each image, and crops.

    Raises:
        OptionError: matplotlib, which draws the plots, is not installed.
    """
    environment = Environment(
        loader=PackageLoader("sr_zoo.evaluation", "templates"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sets = list(dict.fromkeys(row.dataset for row in evaluation.rows()))
    return environment.get_template("report.html").render(
        title=title,
        version=__version__,
        options=evaluation.options,
        measures=[MEASURES[name] for name in evaluation.options.measures],
        sets=sets,
        lines=lines(evaluation),
        plots=list(_plots(evaluation)),
        crops=[_figure(record) for record in evaluation.crops()],
        records=evaluation.records,
        problems=evaluation.problems,
    )


def _figure(record: Record) -> dict[str, Any]:
    first = MEASURES["psnr_y"]
    return {
        "dataset": record.dataset,
        "scale": record.scale,
        "image": record.image,
        "crop": record.crop,
        "scores": {
            label: f"{scores[first.name]:.{first.decimals}f} dB"
            for label, scores in record.scores.items()
            if first.name in scores
        },
    }


def _plots(evaluation: Evaluation) -> Iterator[dict[str, str]]:
    """Yield a drawing of quality over cost for each data set and scale and each kind of cost."""
    measure = evaluation.options.measures[0]
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in evaluation.rows():
        if measure in row.scores and math.isfinite(row.scores[measure]):
            groups.setdefault((row.dataset, row.scale), []).append(row)
    for (dataset, scale), rows in groups.items():
        for cost, axis in COST_AXES.items():
            points = []
            for row in rows:
                complexity = evaluation.complexity.get((row.candidate, row.scale))
                value = getattr(complexity, cost, 0)
                if value:  # interpolation costs nothing, which a logarithmic axis cannot show
                    points.append((row.candidate, value / COST_UNITS[cost], row.scores[measure]))
            if points:
                title = f"{dataset} x{scale}"
                yield {"title": title, "svg": _scatter(title, axis, measure, points)}


def need_matplotlib() -> None:
    """Check that a report can be drawn, before hours of measuring.

    Raises:
        OptionError: matplotlib, which draws the plots, is not installed.
    """
    try:
        import_module("matplotlib")
    except ImportError:
        raise OptionError(
            "The HTML report needs matplotlib, which is not installed: pip install 'sr_zoo[eval]'; "
            "without --output, the table is only shown."
        ) from None


def _scatter(
    title: str, axis: str, measure: str, points: Sequence[tuple[str, float, float]]
) -> str:
    need_matplotlib()
    matplotlib, figures = import_module("matplotlib"), import_module("matplotlib.figure")
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sr_zoo"}):
        figure = figures.Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for label, cost, score in points:
            axes.scatter(cost, score, s=46, zorder=3)
            axes.annotate(label, (cost, score), xytext=(6, 4), textcoords="offset points", size=8)
        axes.set(xscale="log", xlabel=axis, ylabel=measure, title=title)
        for ticks in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            ticks("{x:g}")
        axes.margins(x=0.18, y=0.12)
        axes.grid(alpha=0.3)
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def write_report(evaluation: Evaluation, folder: Path, title: str) -> list[Path]:
    """Write `report.html`, `report.json` and `scores.csv` into a folder.

    Returns:
        What was written.

    Raises:
        OptionError: matplotlib is not installed.
        FileWriteError: The folder cannot be written to.
    """
    make_folder(folder)
    contents = {
        "report.html": as_html(evaluation, title),
        "report.json": json.dumps(as_json(evaluation), indent=1, allow_nan=False) + "\n",
        "scores.csv": as_csv(evaluation),
    }
    for name, text in contents.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in contents]
