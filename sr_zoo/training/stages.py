"""Runs one after another in a folder, each from the weights of the one before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from tqdm import tqdm

from sr_zoo.api import load_model
from sr_zoo.errors import OptionError
from sr_zoo.training.checks import FREE, FREE_FOLLOWING, check_same
from sr_zoo.training.distributed import Processes
from sr_zoo.training.recipe import Recipe
from sr_zoo.training.run import Run
from sr_zoo.training.state import FILE as STATE
from sr_zoo.training.state import load_state


def check_kind(folder: Path, number: int) -> None:
    """Raise OptionError if a folder holds another kind of run, whose weights would be lost.

    Args:
        folder: Where a run is to be.
        number: Of its stages; 0 for a run without.
    """
    before = [path.parent.name for path in folder.glob(f"stage_*/{STATE}")]
    expected = [f"stage_{n}" for n in range(1, number + 1)]
    if number and (folder / STATE).is_file():
        held = "a run without stages"
    elif before and not number:
        held = "a run of stages"
    elif not set(before) <= set(expected):
        held = f"a run of {len(before)} stages, and the recipe has {number}"
    else:
        _check_row(folder, [name in before for name in expected])
        return
    raise OptionError(
        f"{folder} holds {held}; name another output folder, or delete this one to start anew"
    )


def _check_row(folder: Path, begun: Sequence[bool]) -> None:
    """Raise OptionError if a stage has begun that the one before it has not."""
    for number, (before, after) in enumerate(pairwise(begun), 1):
        if after and not before:
            raise OptionError(
                f"{folder} holds stage_{number + 1}, which starts from stage_{number}, and that "
                f"is not there; delete stage_{number + 1} and those after it to train them anew"
            )


def train_stages(
    stages: Sequence[Recipe], folder: Path, processes: Processes, *, quiet: bool, tensorboard: bool
) -> None:
    """Train all stages that have not ended yet, and put the last one's network into the folder.

    One that another has started from stays as it is, whatever length it shall have by now: what it
    learned further would reach no one.

    Args:
        stages: At least one.
        folder: Holds a folder for each.
        processes: Those that share their batches.
        quiet: Whether to show no progress.
        tensorboard: Whether to write events for TensorBoard.

    Raises:
        OptionError: A stage cannot be followed, or its folder is another recipe's.
        TrainingError: As for `Run.finish`.
    """
    parts = [folder / f"stage_{number}" for number in range(1, len(stages) + 1)]
    passed_on = [(part / STATE).is_file() for part in parts[1:]]  # before any process writes
    for index, (stage, part) in enumerate(zip(stages, parts, strict=True)):
        settings = replace(stage, start=str(parts[index - 1])) if index else stage
        if index < len(passed_on) and passed_on[index]:
            _check_passed_on(settings, part, follows=index > 0, quiet=quiet or processes.rank > 0)
            continue
        run = Run(
            settings, part, processes, follows=index > 0, quiet=quiet, tensorboard=tensorboard
        )
        run.finish()
        processes.wait()  # the next stage starts from what the first process has written
    if processes.is_first:
        load_model(parts[-1]).save_pretrained(folder)


def _check_passed_on(recipe: Recipe, part: Path, *, follows: bool, quiet: bool) -> None:
    """Raise OptionError if a stage that another has started from is another recipe's."""
    state = load_state(part)
    check_same(recipe, state, part, FREE_FOLLOWING if follows else FREE)
    if state is None or quiet:
        return
    before, now = json.loads(state["recipe"]), recipe.to_mapping()
    if any(before.get(length) != now.get(length) for length in ("iterations", "epochs")):
        number = part.name.removeprefix("stage_")
        tqdm.write(
            f"stage {number} stays as it is, with {state['iteration']} iterations: "
            f"stage {int(number) + 1} has started from it"
        )
