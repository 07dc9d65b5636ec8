"""`sr-zoo upscale`: images and folders of images."""

from __future__ import annotations

from pathlib import Path

import typer

from sr_zoo.cli.options import parse_tile


def command(
    inputs: list[Path] = typer.Argument(help="Image files and folders."),
    output: Path = typer.Option(
        ..., "-o", "--output", help="Image file for one input, else a folder."
    ),
    model: str | None = typer.Option(
        None, help="Model name, weight id or weight file; the best bundled network by default."
    ),
    scale: float | None = typer.Option(None, help="Upscaling factor; 4 where a model leaves it."),
    device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N."),
    tile: str = typer.Option("auto", help="Side of the tiles in pixels, auto, or off."),
    self_ensemble: bool = typer.Option(
        False, "--self-ensemble", help="Average over flips and rotations (eight times slower)."
    ),
) -> None:
    """Upscale images and folders of images."""
    from sr_zoo.inference.files import upscale_files
    from sr_zoo.inference.upscale import Upscaler

    upscaler = Upscaler(
        model, scale, device=device, tile=parse_tile(tile), self_ensemble=self_ensemble
    )
    failed = upscale_files(upscaler, inputs, output)
    if failed:
        raise typer.Exit(1)
