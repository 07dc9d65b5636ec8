"""`sr-zoo eval`: the numbers of a paper's table."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from rich.console import Console
from tqdm import tqdm

from sr_zoo.atomic import make_writable
from sr_zoo.cli.options import model_names, parse_dtype, parse_tile, spreading
from sr_zoo.progress import unwatched

Command = spreading("--data", "--scale", "--measure")


def command(
    models: list[str] = typer.Argument(
        None,
        help="Model names (rlfn, rlfn.official for a tag), ids (rlfn_x4.official), weight files "
        "(rlfn=FILE where it does not tell its network), folders, hf-hub:owner/repo or exported "
        "files. None with --update-manifest: all known weights that are on this machine.",
        autocompletion=model_names,
        show_default=False,
    ),
    data: list[str] = typer.Option(
        ["Set5"], help="Data sets (Set5 Set14 BSD100 ...) or folders of images."
    ),
    scale: list[int] = typer.Option(
        [], help="Upscaling factors for model names; 4 if not given.", show_default=False
    ),
    measure: list[str] = typer.Option(
        ["psnr_y", "ssim_y"], help="What to measure: also psnr_rgb, gmsd, fsimc, lpips, ..."
    ),
    output: Path | None = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for report.html, report.json and scores.csv; a killed run goes on there.",
    ),
    lr: Path | None = typer.Option(None, help="Folder of LR images that belong to --data."),
    data_dir: Path | None = typer.Option(
        None, envvar="SR_ZOO_DATA", help="Where data sets are kept, and downloaded to."
    ),
    self_ensemble: bool = typer.Option(
        False, "--self-ensemble", help="Average over flips and rotations (eight times slower)."
    ),
    tile: str = typer.Option("off", help="off (as papers do), auto, or a number of LR pixels."),
    device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:0."),
    dtype: str = typer.Option("float32", help="float32, bfloat16 or float16."),
    time_for: float | None = typer.Option(
        None, "--time", help="Time each network for about this many seconds."
    ),
    update_manifest: bool = typer.Option(
        False, "--update-manifest", help="Write the scores into weights_manifest.json."
    ),
) -> None:
    """Measure networks as papers do: MATLAB bicubic, luminance, shaved borders."""
    from sr_zoo.evaluation import manifest, report
    from sr_zoo.evaluation.benchmarks import open_datasets
    from sr_zoo.evaluation.candidates import find_candidates, known_weights
    from sr_zoo.evaluation.evaluate import Options, evaluate

    if output:
        report.need_matplotlib()
        make_writable(output)
    options = Options(tuple(measure), parse_tile(tile), self_ensemble, crops=output is not None)
    computed_in = parse_dtype(dtype)
    if update_manifest:
        manifest.check_protocol(options, dtype=computed_in, lr_folder=lr)
    candidates, problems = find_candidates(
        models or (known_weights() if update_manifest else []),
        scale,
        device=device,
        dtype=computed_in,
    )
    if update_manifest:
        manifest.check_entries(candidates)
    scales = sorted({candidate.scale for candidate in candidates})
    datasets, missing = open_datasets(data, scales, folder=data_dir, lr_folder=lr)
    total = sum(len(d.samples) for d in datasets)
    with tqdm(total=total, unit="image", leave=False, disable=unwatched()) as bar:
        evaluation = evaluate(
            candidates,
            datasets,
            options,
            journal=output / "journal.jsonl" if output else None,
            time_for=time_for,
            advance=lambda _: bar.update(),
        )
    # a name in [brackets] is no markup, and a number cut to the width of the screen is none
    Console(width=sys.maxsize, markup=False, emoji=False).print(report.table(evaluation))
    updated = manifest.update_manifest(evaluation) if update_manifest else []
    evaluation.problems += problems + missing
    title = f"Super-resolution on {', '.join(dict.fromkeys(d.name for d in datasets))}"
    written = report.write_report(evaluation, output, title) if output else []
    for line in (*(f"{entry} updated" for entry in updated), *map(str, written)):
        typer.echo(line)
    for problem in evaluation.problems:
        typer.echo(f"sr-zoo: {problem}", err=True)
    if evaluation.problems:
        raise typer.Exit(1)
