"""Which values of a recipe a run can use."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from sr_zoo.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from sr_zoo.training.recipe import Data, Recipe, Schedule

PRECISIONS = ("float32", "bfloat16", "float16")
OPTIMIZERS = ("adam", "adamw", "sgd", "muon")
SAMPLERS = ("uniform", "equalised")
LARGEST = 2**63 - 1  # whole number that torch takes
SCHEDULES = ("cosine", "multistep", "constant")


def check_values(recipe: Recipe, source: str) -> None:
    """Raise OptionError over the first value that no run can use.

    Args:
        recipe: Its stages are checked too.
        source: What messages call it.
    """
    _check_ranges(recipe, source)
    _check_data(source, recipe.data, recipe.scale)
    _check_schedule(source, recipe.schedule, recipe.optimizer.lr)
    if not 0 <= recipe.ema < 1:
        raise OptionError(f"{source}: ema must be at least 0 and less than 1, got {recipe.ema}")
    betas = recipe.optimizer.betas
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise OptionError(
            f"{source}: optimizer.betas must be two numbers of at least 0 and less than 1, "
            f"got {betas}"
        )
    if recipe.iterations is not None and not recipe.stages:  # those are checked one by one
        check_warmup(recipe.schedule, recipe.iterations, source)
    for index, stage in enumerate(recipe.stages):
        replace(recipe, stages=()).changed(stage, f"{source}: stages[{index}]")
    _check_losses(recipe, source)
    _check_choice(source, "precision", recipe.precision, PRECISIONS)
    _check_choice(source, "data.sampler", recipe.data.sampler, SAMPLERS)
    _check_choice(source, "optimizer.name", recipe.optimizer.name, OPTIMIZERS)
    _check_choice(source, "schedule.name", recipe.schedule.name, SCHEDULES)


def _check_ranges(recipe: Recipe, source: str) -> None:
    positive = {
        "scale": recipe.scale,
        "epochs": recipe.epochs,
        "iterations": 1 if recipe.iterations is None else recipe.iterations,
        "log_every": recipe.log_every,
        "save_every": recipe.save_every,
        "validate_every": recipe.validate_every,
        "data.patch_size": recipe.data.patch_size,
        "data.batch_size": recipe.data.batch_size,
        "optimizer.lr": recipe.optimizer.lr,
        "optimizer.clip_norm": 1
        if recipe.optimizer.clip_norm is None
        else recipe.optimizer.clip_norm,
        "schedule.gamma": recipe.schedule.gamma,
    }
    not_negative = {
        "seed": recipe.seed,
        "data.workers": recipe.data.workers,
        "optimizer.weight_decay": recipe.optimizer.weight_decay,
        "schedule.minimum": recipe.schedule.minimum,
        "schedule.warmup": recipe.schedule.warmup,
        **_weights(recipe),
    }
    for key, value in {**positive, **not_negative}.items():
        if isinstance(value, int) and value > LARGEST:
            raise OptionError(f"{source}: {key} must be less than 2**63, got {value}")
    for key, value in positive.items():
        if not 0 < value < math.inf:
            raise OptionError(f"{source}: {key} must be positive, got {value}")
    for key, value in not_negative.items():
        if not 0 <= value < math.inf:
            raise OptionError(f"{source}: {key} must not be negative, got {value}")


def _weights(recipe: Recipe) -> dict[str, float]:
    """Return the weight of each term of the loss, by its path."""
    weights = {f"losses[{index}].weight": loss.weight for index, loss in enumerate(recipe.losses)}
    if recipe.distillation is not None:
        weights["distillation.weight"] = recipe.distillation.weight
    return weights


def check_warmup(schedule: Schedule, iterations: int, source: str = "recipe") -> None:
    """Raise OptionError if the learning rate would still rise when a run ends.

    Args:
        schedule: Of the run.
        iterations: Of it in all, which those who count in epochs know from the images only.
        source: What messages call the recipe.
    """
    if schedule.warmup >= iterations:
        raise OptionError(
            f"{source}: schedule.warmup must be less than the {iterations} iterations of the run, "
            f"got {schedule.warmup}; shorten it (0 is none) or train for longer"
        )


def _check_schedule(source: str, schedule: Schedule, lr: float) -> None:
    if schedule.name == "cosine" and schedule.minimum > lr:
        raise OptionError(
            f"{source}: schedule.minimum must be at most optimizer.lr, which is {lr}, got "
            f"{schedule.minimum}"
        )
    if not all(0 < milestone < 1 for milestone in schedule.milestones):
        raise OptionError(
            f"{source}: schedule.milestones must be parts of the run between 0 and 1, not "
            f"iterations, got {list(schedule.milestones)}"
        )


def _check_losses(recipe: Recipe, source: str) -> None:
    if not recipe.losses:
        raise OptionError(f"{source}: losses must have at least one entry")
    if not any(_weights(recipe).values()):
        raise OptionError(
            f"{source}: there is nothing to learn from: all weights of losses are 0; one must be "
            "positive"
        )


def _check_data(source: str, data: Data, scale: int) -> None:
    if data.patch_size % scale:
        raise OptionError(
            f"{source}: data.patch_size (the side of an HR patch) must be a multiple of the "
            f"scale {scale}, got {data.patch_size}"
        )
    if data.lr and data.degradations:
        raise OptionError(
            f"{source}: data.lr and data.degradations both say what LR patches are, {data.lr[0]} "
            f"and {data.degradations[0].name!r} among others; leave one of them out"
        )


def _check_choice(source: str, key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise OptionError(
            f"{source}: {key} must be one of {', '.join(allowed)}, got {value!r}."
            f"{did_you_mean(value, allowed)}"
        )
