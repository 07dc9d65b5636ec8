"""Losses on the network's output and the HR patch, both (N, 3, H, W), nominally in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sr_zoo.errors import OptionError, did_you_mean
from sr_zoo.training import recipe


class ImageLoss(nn.Module):
    """A loss on images: called with output and target it gives a scalar.

    Attributes:
        uses_lr: Whether it is called with the LR patch as a third argument.
    """

    uses_lr = False


class L1(ImageLoss):
    """Mean absolute difference."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().mean()


class L2(ImageLoss):
    """Mean squared difference, which PSNR is the logarithm of."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().mean()


class FFTL1(ImageLoss):
    """Mean absolute difference of the 2-D spectra, real and imaginary parts apart.

    Sources: Sun et al., SAFMN, ICCV 2023 (weight 0.05 beside L1); Zamfir et al., SeemoRe, ICML 2024
    (weight 0.1). The transform is not normalised, so the value grows with the patch.
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(output - target)  # linear: the difference of the spectra
        return torch.view_as_real(spectrum).abs().mean()


LOSSES: dict[str, type[ImageLoss]] = {"fft_l1": FFTL1, "l1": L1, "l2": L2}


class Criterion(nn.Module):
    """The weighted sum of a recipe's losses.

    Raises:
        OptionError: A loss is unknown, named twice, or does not take an argument given to it.
    """

    def __init__(self, losses: Sequence[recipe.Loss]) -> None:
        super().__init__()
        self.weights = {loss.name: loss.weight for loss in losses}
        self.losses = nn.ModuleDict({loss.name: build_loss(loss) for loss in losses})
        if len(self.losses) < len(losses):
            raise OptionError("losses: each can be named once; add the weights of equal ones")

    def forward(self, output: Tensor, target: Tensor, lr: Tensor) -> dict[str, Tensor]:
        """Return each loss times its weight; what is learned from is their sum."""
        values = {}
        for name, loss in self.losses.items():
            images = (output, target, lr) if loss.uses_lr else (output, target)
            values[name] = self.weights[name] * loss(*images)
        return values


def build_loss(loss: recipe.Loss) -> ImageLoss:
    """Build a loss of a recipe.

    Raises:
        OptionError: It is unknown, or does not take an argument given to it.
    """
    if loss.name not in LOSSES:
        raise OptionError(
            f"Unknown loss {loss.name!r}.{did_you_mean(loss.name, LOSSES)} "
            f"Known are {', '.join(LOSSES)}"
        )
    try:
        return LOSSES[loss.name](**loss.arguments)
    except (TypeError, ValueError) as error:
        raise OptionError(f"loss {loss.name!r}: {error}") from error
