"""`sr-zoo calibrate`: which patches need which width of a slimmable network."""

from __future__ import annotations

from pathlib import Path

import typer

from sr_zoo.cli.options import model_names
from sr_zoo.errors import OptionError, did_you_mean
from sr_zoo.progress import unwatched


def command(
    model: str = typer.Argument(
        help="Folder of a training run, weight file, hf-hub:..., or id (arm_carn_x4.official).",
        autocompletion=model_names,
    ),
    images: Path = typer.Argument(help="Folder of HR images to measure on."),
    output: Path = typer.Option(..., "-o", "--output", help="Folder for the calibrated network."),
    by: str = typer.Option(
        "edges", help="What tells patches apart: edges (ARM), gradients (WBSR)."
    ),
) -> None:
    """Measure which PSNR each width of a slimmable network reaches on patches of a kind."""
    from tqdm import tqdm

    from sr_zoo.api import load_model
    from sr_zoo.inference.calibration import measure_edge_table, measure_gradient_table
    from sr_zoo.models.arm import AnyTimeNetwork

    measures = {"edges": measure_edge_table, "gradients": measure_gradient_table}
    if by not in measures:
        raise OptionError(
            f"--by must be edges or gradients, got {by!r}.{did_you_mean(by, measures)}"
        )
    network = load_model(model)
    if not isinstance(network, AnyTimeNetwork):
        raise OptionError(
            f"{model} is a {type(network).__name__}, which has one width; "
            "arm_fsrcnn and arm_carn have several"
        )
    network.table = measures[by](network, images, progress=iter if unwatched() else tqdm)
    network.save_pretrained(output)
    typer.echo(f"{output}: sr-zoo upscale photo.png -o big.png --model {output} --budget 50%")
