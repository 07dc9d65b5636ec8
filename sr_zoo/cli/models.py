"""`sr-zoo list`: the models of the library."""

from __future__ import annotations

import json

import typer

from sr_zoo.catalogue import ModelInfo, list_models, model_info
from sr_zoo.cli.options import JSON_HELP

USUAL_SCALE = 4  # of the tables in papers


def command(
    pattern: str = typer.Argument("*", help="Shell-style pattern, for instance 'rlfn*'."),
    scale: int | None = typer.Option(None, help="Only models defined at this upscaling factor."),
    tag: list[str] = typer.Option([], help="Only models with this tag; may be repeated."),
    pretrained: bool = typer.Option(False, "--pretrained", help="Only models with known weights."),
    as_json: bool = typer.Option(False, "--json", help=JSON_HELP.format("A list of objects")),
) -> None:
    """List models: scales, weights, parameters, multiply-adds, publication and tags.

    Parameters (K) and multiply-adds (GMACs, at 1280x720) where weights are known.
    """
    names = list_models(pattern, scale=scale, tags=tuple(tag), pretrained=pretrained)
    if as_json:
        typer.echo(json.dumps([model_info(name).to_json() for name in names], indent=1))
        return
    if not names:
        typer.echo("No model fits; `sr-zoo list` shows all.", err=True)
        raise typer.Exit(1)
    width = max(map(len, names))
    for name in names:
        info = model_info(name)
        scales = " ".join(f"x{s}" for s in info.scales)
        weights = " ".join(f"x{s}" for s in sorted({entry.scale for entry in info.weights}))
        typer.echo(
            f"{name:<{width}}  {scales:<11}  weights: {weights or '-':<11}  "
            f"{_cost(info, scale):>28}  "
            f"{info.paper.venue} {info.paper.year}  {', '.join(info.tags)}"
        )


def _cost(info: ModelInfo, scale: int | None) -> str:
    """Say what a model takes at a scale, or at the usual one, or else at its largest."""
    if scale is None:
        scale = USUAL_SCALE if USUAL_SCALE in info.costs else max(info.costs, default=None)
    cost = info.costs.get(scale) if scale else None
    return f"{cost.num_params / 1e3:,.1f} K {cost.macs / 1e9:8,.2f} GMACs x{scale}" if cost else "-"
