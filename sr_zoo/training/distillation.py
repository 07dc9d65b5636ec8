"""Learning from a larger network's answers besides the HR images."""

from __future__ import annotations

import torch
from torch import Tensor

from sr_zoo.api import load_model
from sr_zoo.errors import OptionError
from sr_zoo.inference.ensemble import self_ensemble
from sr_zoo.training.recipe import Recipe


class Teacher:
    """The teacher of a recipe.

    Raises:
        OptionError: It is of another scale.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        settings = recipe.distillation
        if settings is None:
            raise OptionError("The recipe names no teacher (distillation.teacher)")
        self.settings = settings
        self.network = load_model(settings.teacher, device=device).requires_grad_(False)
        if self.network.scale != recipe.scale:
            raise OptionError(
                f"The teacher {settings.teacher} enlarges by {self.network.scale}, "
                f"the network by {recipe.scale}; name a teacher of the same scale"
            )

    @torch.no_grad()
    def answer(self, lr: Tensor) -> Tensor:
        """Return what the teacher makes of LR patches."""
        if not self.settings.self_ensemble:
            return self.network(lr).clamp(0, 1)
        scale = self.network.scale
        mean = lr.new_zeros(*lr.shape[:-2], *(side * scale for side in lr.shape[-2:]))
        self_ensemble(self._fill, lr, mean)
        return mean.clamp(0, 1)

    def _fill(self, image: Tensor, out: Tensor) -> None:
        out.copy_(self.network(image))

    def loss(self, output: Tensor, lr: Tensor) -> Tensor:
        """Return the weighted L1 distance to the teacher's answer."""
        return self.settings.weight * (output - self.answer(lr)).abs().mean()
