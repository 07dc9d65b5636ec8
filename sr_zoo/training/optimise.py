"""Optimisers and schedules of a recipe: torch's, and Muon of timm."""

from __future__ import annotations

import math
from collections.abc import Iterable

from timm.optim.muon import Muon
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from sr_zoo.training import recipe

WARMUP_START = 0.01  # of the learning rate


def build_optimizer(settings: recipe.Optimizer, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Return the optimiser of a recipe."""
    if settings.name == "sgd":
        momentum = settings.betas[0]
        return SGD(parameters, settings.lr, momentum, weight_decay=settings.weight_decay)
    betas = (settings.betas[0], settings.betas[1])
    if settings.name == "muon":  # a momentum of its own; the betas are of the biases' AdamW
        return Muon(
            parameters,
            settings.lr,
            settings.weight_decay,
            betas=betas,
            nesterov=True,
            adjust_lr_fn="match_rms_adamw",
        )
    kind = {"adam": Adam, "adamw": AdamW}[settings.name]
    return kind(parameters, settings.lr, betas, weight_decay=settings.weight_decay)


def build_schedule(
    settings: recipe.Schedule, optimizer: Optimizer, iterations: int, *, done: int = 0
) -> LambdaLR:
    """Return the schedule of a recipe, to be stepped once for each iteration.

    A rate follows from the number of its iteration alone, so that a run that is to be longer than
    it was goes on as if it had been planned so.

    Args:
        settings: Of the recipe.
        optimizer: Holds what it held after `done` iterations.
        iterations: In all, more than its warm-up has.
        done: Of them.
    """
    warmup = settings.warmup
    length = iterations - warmup
    least = settings.minimum / optimizer.defaults["lr"]
    milestones = settings.milestones if settings.name == "multistep" else ()

    def share(iteration: int) -> float:
        if iteration < warmup:
            return WARMUP_START + (1 - WARMUP_START) * iteration / warmup
        passed = iteration - warmup
        if settings.name == "cosine":
            return least + (1 - least) * (1 + math.cos(math.pi * passed / length)) / 2
        return settings.gamma ** sum(passed >= round(part * length) for part in milestones)

    return LambdaLR(optimizer, share, last_epoch=done - 1)
