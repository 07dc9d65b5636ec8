"""Optimisers and schedules of a recipe: torch's, and Muon of timm."""

from __future__ import annotations

from collections.abc import Iterable

from timm.optim.muon import Muon
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim import lr_scheduler as schedules

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
    settings: recipe.Schedule, optimizer: Optimizer, iterations: int
) -> schedules.LRScheduler:
    """Return the schedule of a recipe, to be stepped once for each iteration."""
    warmup = min(settings.warmup, iterations - 1)
    main = _main(settings, optimizer, iterations - warmup)
    if not warmup:
        return main
    start = schedules.LinearLR(optimizer, WARMUP_START, 1.0, warmup)
    return schedules.SequentialLR(optimizer, [start, main], [warmup])


def _main(
    settings: recipe.Schedule, optimizer: Optimizer, iterations: int
) -> schedules.LRScheduler:
    if settings.name == "cosine":
        return schedules.CosineAnnealingLR(optimizer, iterations, settings.minimum)
    milestones = settings.milestones if settings.name == "multistep" else ()
    return schedules.MultiStepLR(
        optimizer, [round(part * iterations) for part in milestones], settings.gamma
    )
