"""`sr-zoo bench`: how fast networks are here, side by side."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from tqdm import tqdm

from sr_zoo.atomic import make_writable, write_atomically
from sr_zoo.cli.options import model_names, parse_size, spreading
from sr_zoo.errors import OptionError
from sr_zoo.progress import unwatched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sr_zoo.evaluation.recommend import Recommendation
    from sr_zoo.evaluation.speed import Contender, Timing

MARKERS = "osD^vPX*"  # of runtimes and types in the plot
Command = spreading("--runtime", "--dtype", "--size")


def command(
    models: list[str] = typer.Argument(
        help="Model names, ids, weight files or folders, as for `sr-zoo eval`.",
        autocompletion=model_names,
    ),
    runtime: list[str] = typer.Option(
        ["torch"], help="torch, compile, openvino, onnxruntime, ncnn; several take turns."
    ),
    dtype: list[str] = typer.Option(["float32"], help="float32, bfloat16, float16."),
    size: list[str] = typer.Option(["320x180"], help="Of the input, width x height in pixels."),
    scale: int | None = typer.Option(
        None, help="Upscaling factor.", show_default="4, or that of the file"
    ),
    rounds: int = typer.Option(5, min=1, help="How often each takes its turn."),
    threads: int | None = typer.Option(
        None, min=1, max=os.cpu_count(), help="Of torch; all cores by default."
    ),
    untrained: bool = typer.Option(
        False, "--untrained", help="With random weights: models without known ones, too."
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", help="Folder for bench.json, bench.md and bench.png."
    ),
    update_speeds: bool = typer.Option(
        False, "--update-speeds", help="Write what --runtime auto goes by into the package."
    ),
) -> None:
    """Time networks, runtimes and types in turns, on the CPU."""
    import torch

    from sr_zoo.evaluation import speed

    sizes = [parse_size(text, "--size") for text in size]
    if threads is not None:
        torch.set_num_threads(threads)
    if output:
        make_writable(output)
    contenders, problems = _contenders(models, scale, runtime, dtype, untrained)
    with tqdm(total=rounds * len(sizes), unit="round", leave=False, disable=unwatched()) as bar:
        timings = speed.race(contenders, sizes, rounds=rounds, advance=bar.update)
    text = f"{speed.machine_line()}\n\n{speed.table(timings, contenders[0].label)}"
    typer.echo(text)
    if output:
        facts = json.dumps(speed.as_json(timings), indent=1)
        write_atomically(output / "bench.json", f"{facts}\n".encode())
        write_atomically(output / "bench.md", f"{text}\n".encode())
        _plot(output / "bench.png", timings)
    if update_speeds:
        speed.update_speeds(timings)
    for problem in problems:
        typer.echo(f"sr-zoo: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _contenders(
    models: list[str], scale: int | None, runtimes: list[str], dtypes: list[str], untrained: bool
) -> tuple[list[Contender], list[str]]:
    """Return every combination that can be had, and a sentence for each that cannot."""
    from sr_zoo import create_model, fuse
    from sr_zoo.errors import SRZooError
    from sr_zoo.evaluation.candidates import find_candidates
    from sr_zoo.evaluation.speed import contender
    from sr_zoo.inference.runtimes.exported import is_exported
    from sr_zoo.weights.screen import EXPORTED

    problems: list[str] = []
    if untrained:
        networks = [create_model(name, scale, pretrained=False) for name in models]
    else:
        if files := [model for model in models if is_exported(model)]:
            raise OptionError(f"{', '.join(files)} {EXPORTED}")
        candidates, problems = find_candidates(models, [] if scale is None else [scale])
        networks = [candidate.network for candidate in candidates]
    found = []
    for network in map(fuse, networks):
        for runtime in runtimes:
            for dtype in dtypes:
                try:
                    found.append(contender(network, runtime, dtype))
                except SRZooError as error:
                    problems.append(str(error))
    if not found:
        raise OptionError("; ".join(problems))
    return found, problems


def _plot(path: Path, timings: Sequence[Timing]) -> None:
    """Draw PSNR against time, for the contenders whose score the manifest has."""
    from sr_zoo.evaluation.recommend import scored
    from sr_zoo.evaluation.speed import by_image

    try:
        from matplotlib.figure import Figure
    except ImportError:
        typer.echo("sr-zoo: bench.png needs matplotlib: pip install 'sr_zoo[eval]'", err=True)
        return
    panels = {
        f"x{group[0].scale}, {group[0].width}x{group[0].height}": points
        for group in by_image(timings)
        if (points := scored([vars(timing) for timing in group]))
    }
    if not panels:
        typer.echo("sr-zoo: no bench.png, since no score of these models is known", err=True)
        return
    ways = dict.fromkeys(f"{p.runtime} {p.dtype}" for points in panels.values() for p in points)
    markers = dict(zip(ways, cycle(MARKERS), strict=False))
    heights = [max(4, 0.3 * len({p.weights for p in points})) for points in panels.values()]
    figure = Figure(figsize=(9, sum(heights)), layout="constrained")
    all_axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights).flat
    for axes, (title, points) in zip(all_axes, panels.items(), strict=True):
        _panel(axes, points, markers)
        axes.set_title(title)
    figure.savefig(path)


def _panel(axes: Axes, points: Sequence[Recommendation], markers: Mapping[str, str]) -> None:
    """Draw what was measured of one scale and size."""
    rows: dict[str, list[Recommendation]] = defaultdict(list)  # by weights
    for point in points:
        rows[point.weights].append(point)
    # a column beside the axes, in the order of the points' heights: labels never lie on each other
    order = sorted(rows, key=lambda weights: rows[weights][0].psnr)
    for place, weights in enumerate(order):
        row = sorted(rows[weights], key=lambda point: point.milliseconds)
        (line,) = axes.plot([p.milliseconds for p in row], [p.psnr for p in row], linewidth=0.7)
        for point in row:
            marker = markers[f"{point.runtime} {point.dtype}"]
            axes.plot(point.milliseconds, point.psnr, marker, color=line.get_color())
        axes.annotate(
            weights,
            (row[-1].milliseconds, row[-1].psnr),
            (1.06, (place + 0.5) / len(order)),
            textcoords="axes fraction",
            verticalalignment="center",
            fontsize="small",
            arrowprops={
                "arrowstyle": "-",
                "color": line.get_color(),
                "linewidth": 0.7,
                "relpos": (0, 0.5),
            },
        )
    for way, marker in markers.items():
        axes.plot([], [], marker, color="grey", label=way)
    axes.legend(fontsize="small")
    axes.set(
        xscale="log",
        xlabel="milliseconds of the processor per image",
        ylabel="PSNR on Set5 (luminance), dB",
    )
