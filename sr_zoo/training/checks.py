"""What must hold before a run starts: what its recipe names exists, and its folder is its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from sr_zoo.api import create_model
from sr_zoo.errors import OptionError
from sr_zoo.imaging.folder import identity_of
from sr_zoo.registry import spec_of
from sr_zoo.training.degradations import build_mixture
from sr_zoo.training.losses import check_patch
from sr_zoo.training.recipe import Recipe
from sr_zoo.training.record import LOG, RECIPE, is_run
from sr_zoo.training.strategies import find_strategy
from sr_zoo.weights.hub import CARD, CONFIG, FILE

# what may change from one start of a run to the next, its length included
FREE = {
    *("iterations", "epochs", "data.val", "data.workers"),
    *("log_every", "save_every", "validate_every"),
}
FREE_FOLLOWING = FREE | {"start"}  # of a stage: the one before it, wherever that lies by now
WRITTEN = (FILE, CONFIG, CARD, RECIPE, LOG)  # into a run's folder
FOLDERS = ("data.train", "data.lr")  # known by their names, since a run may move to another machine


def check_names(recipe: Recipe) -> None:
    """Raise the error of the first thing that a recipe names and nobody knows, or cannot use."""
    _check_trainable(recipe)
    find_strategy(recipe.strategy, recipe.model)
    for loss in recipe.losses:
        check_patch(loss.name, recipe.data.patch_size)
    build_mixture(recipe.data.degradations, recipe.scale)


def _check_trainable(recipe: Recipe) -> None:
    """Raise the error of a network that cannot be built, or OptionError if it cannot learn."""
    with torch.device("meta"):  # nothing is drawn, and a large one takes no memory
        network = create_model(
            recipe.model, recipe.scale, pretrained=False, **dict(recipe.arguments)
        )
    if not list(network.parameters()):
        raise OptionError(
            f"{recipe.model} has no weights to train; `sr-zoo list` names models that have"
        )


def check_batch(recipe: Recipe, world: int) -> None:
    """Raise OptionError if a batch cannot be shared evenly, or leaves a process too few images."""
    size = recipe.data.batch_size
    if size % world:
        raise OptionError(
            f"data.batch_size {size} cannot be shared by {world} processes; "
            "it counts over all of them"
        )
    least = spec_of(recipe.model).network.least_batch
    if size // world < least:
        raise OptionError(
            f"data.batch_size {size} is {size // world} per process; "
            f"{recipe.model} needs {least} or more, so at least {least * world} in all"
        )


def check_apart(recipe: Recipe, folder: Path) -> None:
    """Raise OptionError if a run's pictures would lie among the images that it learns from."""
    for name in recipe.data.train:
        if identity_of(Path(name).expanduser()) == identity_of(folder):
            raise OptionError(
                f"{folder} is a folder of images to train on; name another output folder, "
                f"for instance {folder / 'run'}"
            )


def check_unused(folder: Path) -> None:
    """Raise OptionError if files that no run has written would be replaced by one's."""
    if is_run(folder):
        return  # it was ended before its state was first saved
    if taken := [name for name in WRITTEN if (folder / name).exists()]:
        raise OptionError(
            f"{folder} holds {', '.join(taken)} of something else, which a run would replace; name "
            f"another output folder, for instance {folder / 'run'}"
        )


def check_same(recipe: Recipe, state: dict[str, Any] | None, folder: Path, free: set[str]) -> None:
    """Raise OptionError if a folder's state is of another recipe, but for what is free."""
    if state is None:
        return
    before, now = _settings(json.loads(state["recipe"])), _settings(recipe.to_mapping())
    for key in sorted((before.keys() | now.keys()) - free):
        if before.get(key) != now.get(key):
            raise OptionError(
                f"{folder} holds a run with {key} = {before.get(key)!r}, not {now.get(key)!r}; "
                "name another output folder, or delete this one to start anew"
            )


def _settings(record: dict[str, Any]) -> dict[str, Any]:
    """Return what tells runs apart, by dotted names."""
    flat = _flat(record)
    for key in FOLDERS:
        flat[key] = [Path(folder).name for folder in flat[key]]
    return flat


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
