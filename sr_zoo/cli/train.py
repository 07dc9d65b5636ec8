"""`sr-zoo train`: networks from folders of images."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from sr_zoo.cli.options import model_names, spreading
from sr_zoo.errors import OptionError

Command = spreading("--train-dir", "--train_dir", "--val-dir", "--val_dir", "--lr-dir", "--set")
LENGTH = {"iterations", "epochs"}


def command(
    model: str = typer.Argument(
        None,
        help="Model name (rlfn_s); may be left out with --recipe.",
        autocompletion=model_names,
        show_default=False,
    ),
    recipe: str | None = typer.Option(
        None, help="TOML file, or the name of a recipe that comes with the library."
    ),
    train_dir: list[str] = typer.Option(
        [], "--train-dir", "--train_dir", help="Folders of HR images.", show_default=False
    ),
    lr_dir: list[str] = typer.Option(
        [], "--lr-dir", help="Their LR images; made by bicubic if not given.", show_default=False
    ),
    val_dir: list[str] = typer.Option(
        [], "--val-dir", "--val_dir", help="Folders or data sets (Set5).", show_default=False
    ),
    scale: int | None = typer.Option(None, help="Upscaling factor.", show_default="4"),
    start: str | None = typer.Option(
        None, help="Weights to start from: an id (rlfn_s_x4.sr_zoo), file, folder, hf-hub:..."
    ),
    epochs: int | None = typer.Option(
        None, help="Passes over the images (in each stage), one patch of each.", show_default="100"
    ),
    iterations: int | None = typer.Option(
        None, help="Batches (of each stage), in place of --epochs."
    ),
    batch_size: int | None = typer.Option(
        None, "--batch-size", "--batch_size", help="Patches in a batch.", show_default="16"
    ),
    patch_size: int | None = typer.Option(
        None, "--patch-size", "--patch_size", help="Side of an HR patch.", show_default="128"
    ),
    learning_rate: float | None = typer.Option(
        None, "--learning-rate", help="At the start of the schedule.", show_default="5e-4"
    ),
    settings: list[str] = typer.Option(
        [],
        "--set",
        help="Any other setting of a recipe, as optimizer.clip_norm=1.0.",
        show_default=False,
    ),
    output: Path | None = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for weights, state and log; a stopped run goes on there.",
        show_default="runs/MODEL_xSCALE",
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:0."),
    tensorboard: bool = typer.Option(
        False, "--tensorboard", help="Write events for TensorBoard beside log.csv."
    ),
    profile: bool = typer.Option(
        False, "--profile", help="Only say where time goes: data, forward, backward."
    ),
) -> None:
    """Train or fine-tune a network. The same command again goes on where it was stopped."""
    from sr_zoo.training.recipe import Recipe, read_mapping
    from sr_zoo.training.trainer import profile as profiled
    from sr_zoo.training.trainer import train

    options: dict[str, Any] = {
        "model": model,
        "scale": scale,
        "start": start,
        "epochs": epochs,
        "iterations": iterations,
        "data.train": train_dir,
        "data.lr": lr_dir,
        "data.val": val_dir,
        "data.batch_size": batch_size,
        "data.patch_size": patch_size,
        "optimizer.lr": learning_rate,
    }
    given = {path: value for path, value in options.items() if value not in (None, [])}
    given |= dict(map(_setting, settings))
    if recipe is None and model is None:
        raise OptionError("Name a model to train (sr-zoo train rlfn_s ...) or a --recipe")
    record: dict[str, Any] = read_mapping(recipe) if recipe else {"model": model}
    chosen = Recipe.from_mapping(record, recipe or "recipe")
    if LENGTH & given.keys():
        given.setdefault("iterations", None)  # else the recipe's would count, not these epochs
        chosen = replace(chosen, stages=tuple(map(_without_length, chosen.stages)))
    chosen = chosen.changed(given)
    if profile:
        typer.echo(profiled(chosen, device=device))
        return
    folder = train(chosen, output=output, device=device, tensorboard=tensorboard)
    typer.echo(f"{folder}: sr-zoo upscale photo.png -o big.png --model {folder}")


def _without_length(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage that is as long as the command says, not as the recipe does."""
    return {path: value for path, value in stage.items() if path not in LENGTH}


def _setting(text: str) -> tuple[str, Any]:
    """Read ``path=value``; the value is JSON, a list or table of TOML, or else text."""
    path, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"--set takes path=value, for instance optimizer.lr=1e-4; got {text!r}")
    try:
        return path, json.loads(value)
    except ValueError:
        pass
    try:
        written: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return path, value
    return path, written if isinstance(written, list | dict) else value
