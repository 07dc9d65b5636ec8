"""`sr-zoo export`: networks as files that run without this library."""

from __future__ import annotations

from pathlib import Path

import typer

from sr_zoo.cli.options import model_names, parse_size
from sr_zoo.errors import OptionError


def command(
    model: str = typer.Argument(
        help="Model name, weight id, weight file, folder or hf-hub:...", autocompletion=model_names
    ),
    to: str = typer.Option(
        "onnx", "--to", help="onnx, openvino, torch-export, ncnn or coreml-ready."
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", help="File to write; named after model and scale by default."
    ),
    scale: int | None = typer.Option(None, help="Upscaling factor, for model names; 4 by default."),
    untrained: bool = typer.Option(
        False, "--untrained", help="With random weights, for a model without published ones."
    ),
    verify: bool = typer.Option(True, help="Compare the file with PyTorch at three sizes."),
    size: str | None = typer.Option(
        None, help="Of the input, width x height in pixels; for coreml-ready, which takes one size."
    ),
    int8: Path | None = typer.Option(
        None,
        "--int8",
        metavar="FOLDER",
        help="Compute in 8 bits (onnx only), by the ranges met on this folder's images.",
    ),
) -> None:
    """Export a network, fused, for any batch, height and width, and verify the file."""
    from importlib import import_module

    from sr_zoo.api import create_model, means_weights, network_of
    from sr_zoo.export import coreml
    from sr_zoo.export.exporting import FORMATS, ONE_SIZE, SIZES, export_model

    if int8 is not None and to != "onnx":
        raise OptionError(f"--int8 writes ONNX files; leave out --to {to}")
    if size is None and to == ONE_SIZE:
        raise OptionError(f"--to {ONE_SIZE} needs --size, such as --size 256x256")
    if size is not None and to != ONE_SIZE:
        raise OptionError(
            f"--size {size} goes with --to {ONE_SIZE} only: files of other formats take any size"
        )
    if untrained and means_weights(model):
        raise OptionError(f"--untrained goes with a model's name, not with the weights {model}")
    network = (
        create_model(model, scale, pretrained=False) if untrained else network_of(model, scale)
    )
    name = f"{network.identity.name if network.identity else 'network'}_x{network.scale}"
    if size is not None:
        output = output or Path(f"{name}_{size}{coreml.SUFFIX}")
        sides = parse_size(size, "--size")
        exported = coreml.export_coreml_ready(network, output, size=sides, verify=verify)
    else:
        if output is None and to in FORMATS:
            output = Path(f"{name}{import_module(FORMATS[to]).SUFFIX}")
        if int8 is not None:
            from sr_zoo.export.int8 import export_int8

            quantised = export_int8(network, output or Path(), int8)
            typer.echo(f"{quantised.path}\n  {quantised}")
            return
        exported = export_model(network, output or Path(), to=to, sizes=SIZES if verify else ())
    typer.echo(str(exported.path))
    for comparison in exported.comparisons:
        typer.echo(f"  {comparison}")
