"""`sr-zoo info`: what is known of a model."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from sr_zoo.catalogue import ModelInfo, model_info
from sr_zoo.cli.options import JSON_HELP, model_names
from sr_zoo.errors import OptionError
from sr_zoo.registry import MODELS
from sr_zoo.weights.manifest import Entry, load_manifest

UPSCALE_SCALES = (2, 3, 4)


def command(
    name: str = typer.Argument(
        help="A model name, or the id of weights.", autocompletion=model_names
    ),
    as_json: bool = typer.Option(False, "--json", help=JSON_HELP.format("An object")),
) -> None:
    """Say what is known of a model: publication, tiling, cost, and every known weight file."""
    models = {entry.id: entry.model for entry in load_manifest().entries}
    if name not in {*models, *MODELS} and Path(name).exists():
        raise OptionError(
            f"{name} is a file or folder; sr-zoo info takes a model's name or the id of weights. "
            "`sr-zoo upscale --model FILE` runs a weight file and an exported network"
        )
    info = model_info(models.get(name, name))
    if as_json:
        typer.echo(json.dumps(info.to_json(), indent=1))
        return
    for label, value in _facts(info):
        typer.echo(f"{label:<11}{value}")
    for entry in info.weights:
        typer.echo(f"{'weights':<11}{_weights(entry)}")
    for kind, meaning in info.budgets.items():
        typer.echo(f"{'budget':<11}{kind}: {meaning}")
    for line in _default_of(info.name):
        typer.echo(f"{'upscale':<11}{line}")


def _facts(info: ModelInfo) -> list[tuple[str, str]]:
    paper = info.paper
    link = f", arXiv:{paper.arxiv}" if paper.arxiv else ""
    tiles = "equal to the untiled output"
    if not info.tile_exact:
        tiles = "close to the untiled output: the network looks at more of the image"
    facts = [
        ("model", info.name),
        ("paper", f"{paper.title} ({paper.venue} {paper.year}{link})"),
        ("scales", " ".join(f"x{scale}" for scale in info.scales)),
        ("tags", ", ".join(info.tags)),
        ("tiles", f"{info.halo} LR pixels of halo; {tiles}"),
    ]
    if info.reference:
        facts.append(("reference", f"{info.reference} ({info.reference_license})"))
    for scale, cost in info.costs.items():
        size = f"{cost.num_params / 1e3:,.1f} K parameters, {cost.macs / 1e9:,.2f} GMACs"
        facts.append(("cost", f"x{scale}: {size} for an output of 1280x720 pixels"))
    return facts


def _weights(entry: Entry) -> str:
    metrics = ", ".join(
        f"{data} {values['psnr_y']:.2f} dB" for data, values in entry.metrics.items()
    )
    default = ", default" if entry.default else ""
    return f"{entry.id}: x{entry.scale}, {entry.license}{default}; {metrics or 'not measured'}"


def _default_of(name: str) -> list[str]:
    """Say for which scales a bundled file of this model is what `upscale` uses by itself."""
    from sr_zoo.inference.networks import default_weights

    lines = []
    for scale in UPSCALE_SCALES:
        entry = default_weights(scale)
        if entry.model != name:
            continue
        how = "" if entry.scale == scale else f", by reducing its x{entry.scale} output"
        lines.append(f"default at x{scale} ({entry.id}{how})")
    return lines
