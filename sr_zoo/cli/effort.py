"""`sr-zoo effort`: where a network spends its effort."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from sr_zoo.cli.options import model_names
from sr_zoo.errors import OptionError


def command(
    images: list[Path] = typer.Argument(help="LR image; with --routing, images and folders."),
    model: str = typer.Option(
        "seemore_t", help="Model name, id, folder or weight file.", autocompletion=model_names
    ),
    scale: int | None = typer.Option(
        None, help="Upscaling factor.", show_default="4, or that of the file"
    ),
    budget: str = typer.Option("auto", help="auto, 50%, '20 GMACs', '300 ms', eta=1.3, k=0, ..."),
    output: Path | None = typer.Option(None, "-o", "--output", help="Picture to write."),
    routing: bool = typer.Option(
        False, "--routing", help="Count the experts of each block over all images instead."
    ),
) -> None:
    """Paint what a dynamic network spends where over an image, and say how much it is."""
    from sr_zoo.api import network_of
    from sr_zoo.imaging.folder import images_in, plan
    from sr_zoo.imaging.pil import from_pil
    from sr_zoo.imaging.write import write_image
    from sr_zoo.inference.budget import Report
    from sr_zoo.visualize import measure, open_rgb, paint, routing_statistics

    network = network_of(model, scale)
    if routing:
        for block, shares in routing_statistics(network, images_in(images)).items():
            typer.echo(f"{block:<10}" + "".join(f"{share:8.1%}" for share in shares.tolist()))
        return
    if output is None or len(images) != 1 or images[0].is_dir():
        raise OptionError("sr-zoo effort paints one image: give it, and -o FILE")
    (job,) = plan(images, output)
    picture, pixels = open_rgb(job.source)
    start = time.perf_counter()
    spent = measure(network, pixels, budget)
    seconds = time.perf_counter() - start
    write_image(from_pil(paint(picture, spent)), job.target)
    typer.echo(f"{job.target}: {Report.of([spent], seconds)}")
