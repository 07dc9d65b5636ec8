"""`sr-zoo upscale`: images and folders of images."""

from __future__ import annotations

from pathlib import Path

import typer

from sr_zoo.errors import OptionError


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
) -> None:
    """Upscale images and folders of images."""
    from sr_zoo.inference.files import upscale_files
    from sr_zoo.inference.upscale import Upscaler

    upscaler = Upscaler(model, scale, device=device, tile=_tile(tile))
    failed = upscale_files(upscaler, inputs, output)
    if failed:
        raise typer.Exit(1)


def _tile(text: str) -> int | str | None:
    if text == "auto":
        return "auto"
    if text == "off":
        return None
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise OptionError(f"--tile must be auto, off or a number of pixels, got {text!r}")
