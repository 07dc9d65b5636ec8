"""`sr-zoo zero-shot`: one image enlarged by learning from it alone."""

from __future__ import annotations

from pathlib import Path

import typer
from tqdm import tqdm

from sr_zoo.progress import unwatched


def command(
    image: Path = typer.Argument(help="The image to enlarge."),
    output: Path = typer.Option(..., "--output", "-o", help="The file to write, or a folder."),
    scale: int = typer.Option(2, help="Upscaling factor."),
    method: str = typer.Option("zssr", help="zssr or deep-image-prior."),
    iterations: int = typer.Option(1000, help="Steps of the optimiser."),
    noise: float = typer.Option(0.0, help="For zssr: how noisy the image is, in levels of 255."),
    seed: int = typer.Option(0, help="Of everything that is drawn."),
) -> None:
    """Enlarge an image by learning from it alone, for degradations that no weights know."""
    from sr_zoo.training.zero_shot import zero_shot_file

    with tqdm(total=iterations, unit="step", leave=False, disable=unwatched()) as bar:

        def progress(_iteration: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.5f}", refresh=False)

        zero_shot_file(
            image,
            output,
            scale,
            method=method,
            iterations=iterations,
            noise=noise,
            seed=seed,
            progress=progress,
        )
