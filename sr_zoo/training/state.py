"""The state of a run in one file, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from sr_zoo.atomic import remove_leftovers, write_atomically
from sr_zoo.errors import CheckpointError, FileWriteError, TrainingError

FILE = "state.pt"
# what every state has had from the first version of the library on
PARTS = {"recipe", "iteration", "best", "sums", "summed", "network", "optimizer", "random"}


def save_state(state: dict[str, Any], folder: Path) -> None:
    """Write a run's state; whatever happens, the file holds this one or the one before.

    Raises:
        TrainingError: It cannot be written, for instance because the disk is full.
    """
    try:
        save_tensors(state, folder / FILE)
    except FileWriteError as error:
        raise TrainingError(
            f"The state of the run cannot be saved: {error}. Make room and run the same command "
            f"again: it goes on from the last state saved in {folder}"
        ) from error


def save_tensors(values: dict[str, Any], path: Path) -> None:
    """Write what `torch.load` reads, whole or not at all.

    Raises:
        FileWriteError: It cannot be written, for instance because the disk is full.
    """
    content = io.BytesIO()  # to a file, torch reports a full disk in its own words
    torch.save(values, content)
    write_atomically(path, content.getvalue())


def load_state(folder: Path) -> dict[str, Any] | None:
    """Return the state that a run left in its folder, or None if it left none.

    Raises:
        CheckpointError: The file is no state of a run.
    """
    path = folder / FILE
    remove_leftovers([path])
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch lets out what its unpickler stumbles over
        raise CheckpointError(f"{path} is no state of a training run ({error})") from error
    lacking = PARTS - (state.keys() if isinstance(state, dict) else set())
    if lacking:
        raise CheckpointError(
            f"{path} is no state of a training run of this library (it lacks "
            f"{', '.join(sorted(lacking))}); name another output folder, or take weights of it by "
            "--start"
        )
    whole: dict[str, Any] = state
    return whole
