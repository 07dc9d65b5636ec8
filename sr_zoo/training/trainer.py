"""Training a network after a recipe, in one run or in stages."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sr_zoo.devices import pick_device
from sr_zoo.training.checks import check_names, check_unused
from sr_zoo.training.distributed import joined
from sr_zoo.training.occupation import occupied
from sr_zoo.training.profile import Timer
from sr_zoo.training.recipe import Recipe, read_recipe
from sr_zoo.training.run import Run
from sr_zoo.training.stages import check_kind, train_stages

PROFILED = 20  # iterations


def train(
    recipe: Recipe | str | Path,
    *,
    output: str | Path | None = None,
    device: str | torch.device = "auto",
    quiet: bool = False,
    tensorboard: bool = False,
) -> Path:
    """Train a network; a run that was stopped goes on where its state was saved.

    Args:
        recipe: A `Recipe`, a TOML file, or the name of a recipe that comes with the library.
        output: Folder for weights, state and log; None for ``runs/MODEL_xSCALE``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``. Under torchrun every process takes its own GPU.
        quiet: Whether to show no progress.
        tensorboard: Whether to write events for TensorBoard beside the CSV log.

    Returns:
        The output folder. `sr_zoo.load_model` builds the trained network from it.

    Raises:
        OptionError: The recipe cannot be followed, or the folder is another recipe's, or another
            process trains in it.
        TrainingError: The loss is not finite any more, a file cannot be written, or the run was
            interrupted.
        SRZooError: Weights to start from, or a teacher's, cannot be had.
    """
    if isinstance(recipe, Recipe):  # made in Python, it may hold anything
        chosen = Recipe.from_mapping(recipe.to_mapping())
    else:
        chosen = read_recipe(recipe)
    folder = Path(output) if output else Path("runs") / f"{chosen.model}_x{chosen.scale}"
    stages = [replace(chosen, stages=()).changed(changes) for changes in chosen.stages]
    for stage in stages:
        check_names(stage)  # before the first of them takes its days
    check_kind(folder, len(stages))
    if stages and not any(folder.glob("stage_*")):
        check_unused(folder)
    with (
        joined(pick_device(device)) as processes,
        occupied(folder) if processes.is_first else nullcontext(),
    ):
        if stages:
            train_stages(stages, folder, processes, quiet=quiet, tensorboard=tensorboard)
        else:
            Run(chosen, folder, processes, quiet=quiet, tensorboard=tensorboard).finish()
    return folder


def profile(
    recipe: Recipe, *, device: str | torch.device = "auto", iterations: int = PROFILED
) -> str:
    """Return where the time of a run would go: milliseconds for data, forward, backward, ...

    Args:
        recipe: Followed for some iterations, with nothing written.
        device: As for `train`.
        iterations: How many, after one that does not count.
    """
    with TemporaryDirectory() as folder, joined(pick_device(device)) as processes:
        changes = {"iterations": iterations + 1, "data.val": [], "stages": [], "schedule.warmup": 0}
        short = recipe.changed(changes)
        run = Run(short, Path(folder), processes, quiet=True)
        for number, (lr, hr) in enumerate(run.batches()):
            if number == 0:
                run.learner.timer = Timer(processes.device)
            run.learner.timer.mark("data")
            run.step(lr, hr)
            if number == 0:
                run.learner.timer.seconds.clear()
        return run.learner.timer.table(iterations)
