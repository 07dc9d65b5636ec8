"""`sr-zoo list`: the models of the library."""

from __future__ import annotations

import typer

from sr_zoo.catalogue import list_models, model_info


def command(
    pattern: str = typer.Argument("*", help="Shell-style pattern, for instance 'rlfn*'."),
    scale: int | None = typer.Option(None, help="Only models defined at this upscaling factor."),
    tag: list[str] = typer.Option([], help="Only models with this tag; may be repeated."),
    pretrained: bool = typer.Option(False, "--pretrained", help="Only models with known weights."),
) -> None:
    """List models with their scales, tags and publication."""
    names = list_models(pattern, scale=scale, tags=tuple(tag), pretrained=pretrained)
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
            f"{info.paper.venue} {info.paper.year}  {', '.join(info.tags)}"
        )
