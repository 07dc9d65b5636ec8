"""Splitting numbers into clusters, without a branch on them."""

import torch
from torch import Tensor

MAX_ITERATIONS = 19
SETTLED = 1e-4  # squared moves of both centres below which they count as settled


def two_means(hardness: Tensor) -> Tensor:
    """Split each row of numbers into two clusters; True for the upper one.

    Lloyd's algorithm, one centre starting at the average and one at the smallest number, as in PCSR
    (Jeong et al., ECCV 2024). Rows do not influence each other.
    """
    low, high = hardness.amin(1, keepdim=True), hardness.amax(1, keepdim=True)
    values = (hardness - low) / (high - low).clamp_min(torch.finfo(low.dtype).tiny)
    upper, lower = values.mean(1, keepdim=True), torch.zeros_like(low)
    labels = _nearer(values, upper, lower)
    moving = torch.ones_like(low, dtype=torch.bool)
    for _ in range(MAX_ITERATIONS):
        labels = torch.where(moving, _nearer(values, upper, lower), labels)
        new_upper, new_lower = _mean(values, labels), _mean(values, ~labels)
        moves = (new_upper - upper).square() + (new_lower - lower).square()
        upper = torch.where(moving, new_upper, upper)
        lower = torch.where(moving, new_lower, lower)
        moving = moving & (moves > SETTLED)
    return labels & (high > low)


def _nearer(values: Tensor, upper: Tensor, lower: Tensor) -> Tensor:
    return 2 * values * upper - upper.square() >= 2 * values * lower - lower.square()


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    weights = chosen.to(values.dtype)
    return (values * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp_min(1)
