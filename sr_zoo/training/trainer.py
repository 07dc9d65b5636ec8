"""Training a network after a recipe, in one run or in stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sr_zoo.api import load_model
from sr_zoo.devices import pick_device
from sr_zoo.errors import OptionError
from sr_zoo.training.checks import check_names, check_unused
from sr_zoo.training.distributed import joined
from sr_zoo.training.profile import Timer
from sr_zoo.training.recipe import Recipe, read_recipe
from sr_zoo.training.run import Run
from sr_zoo.training.state import FILE as STATE

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
        OptionError: The recipe cannot be followed, or the folder is another recipe's.
        TrainingError: The loss is not finite any more, a file cannot be written, or the run was
            interrupted.
        SRZooError: Weights to start from, or a teacher's, cannot be had.
    """
    chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    folder = Path(output) if output else Path("runs") / f"{chosen.model}_x{chosen.scale}"
    stages = [replace(chosen, stages=()).changed(changes) for changes in chosen.stages]
    for stage in stages:
        check_names(stage)  # before the first of them takes its days
    _check_kind(folder, staged=bool(stages))
    if stages and not any(folder.glob("stage_*")):
        check_unused(folder)
    with joined(pick_device(device)) as processes:
        if not stages:
            Run(chosen, folder, processes, quiet=quiet, tensorboard=tensorboard).finish()
            return folder
        part: Path | None = None
        for number, stage in enumerate(stages, 1):
            follows = part is not None
            settings = replace(stage, start=str(part)) if follows else stage
            part = folder / f"stage_{number}"
            Run(
                settings, part, processes, follows=follows, quiet=quiet, tensorboard=tensorboard
            ).finish()
            processes.wait()  # the next stage starts from what the first process has written
        if processes.is_first and part:
            load_model(part).save_pretrained(folder)
    return folder


def _check_kind(folder: Path, *, staged: bool) -> None:
    """Raise OptionError if a folder holds a run of the other kind, whose weights would be lost."""
    if staged and (folder / STATE).is_file():
        held = "a run without stages"
    elif not staged and any(folder.glob(f"stage_*/{STATE}")):
        held = "a run of stages"
    else:
        return
    raise OptionError(
        f"{folder} holds {held}; name another output folder, or delete this one to start anew"
    )


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
