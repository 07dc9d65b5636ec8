"""Losses on the network's output and the HR patch, both (N, 3, H, W), nominally in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import grey_gradients
from sr_zoo.errors import OptionError, SRZooError, did_you_mean
from sr_zoo.evaluation.metrics import PEAK, WINDOW, similarity
from sr_zoo.evaluation.resize import imresize
from sr_zoo.training import recipe
from sr_zoo.training.tables import typed


class ImageLoss(nn.Module):
    """A loss on images: called with output and target it gives a scalar.

    Attributes:
        uses_lr: Whether it is called with the LR patch as a third argument.
        smallest_patch: Pixels along a side that it needs.
        patch_multiple: What the pixels along a side must be a multiple of.
    """

    uses_lr = False
    smallest_patch = 1
    patch_multiple = 1


def check_width(channels: int) -> None:
    """Raise ValueError unless a layer can be as wide."""
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")


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


class Charbonnier(ImageLoss):
    """Mean of sqrt(d^2 + eps^2): L1 that is smooth at zero.

    Source: Lai et al., LapSRN, CVPR 2017.
    """

    def __init__(self, *, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return ((output - target).square() + self.eps**2).sqrt().mean()


class TotalVariation(ImageLoss):
    """Mean absolute difference of neighbouring output pixels, along rows plus along columns.

    Smooths whatever the target is. Source: Rudin et al., Physica D 1992, in its anisotropic form.
    """

    smallest_patch = 2

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return sum((side.abs().mean() for side in differences(output)), target.new_zeros(()))


class Edge(ImageLoss):
    """Mean absolute difference of the gradients (differences of neighbours) along both axes."""

    smallest_patch = 2

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        # linear: the difference of the gradients is the gradient of the difference
        return sum((d.abs().mean() for d in differences(output - target)), output.new_zeros(()))


class SSIM(ImageLoss):
    """One minus the mean structural similarity of the three channels.

    Source: Wang et al., IEEE TIP 2004; constants and window as the library measures it.
    """

    smallest_patch = WINDOW

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return 1 - similarity(output.flatten(0, 1) * PEAK, target.flatten(0, 1) * PEAK).mean()


class BalancedDiversity(ImageLoss):
    """L1 weighted by local texture: flat regions, which are learned first, count less.

    The weight of a pixel is floor + g / mean(g), divided by its mean over the patch, where g is the
    target's gradient magnitude averaged over 7 x 7 pixels. A reading of Yu et al., WBSR, NeurIPS
    2024, which names such a loss and gives no formula.

    Args:
        floor: Weight of a pixel without texture before normalising.
    """

    WINDOW = 7

    def __init__(self, *, floor: float = 0.5) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        down, right = grey_gradients(target)
        magnitude = (down.square() + right.square()).sqrt()
        half = self.WINDOW // 2
        texture = F.avg_pool2d(magnitude, self.WINDOW, 1, half, count_include_pad=False)
        smallest = torch.finfo(texture.dtype).tiny  # a flat patch has no texture to divide by
        weight = self.floor + texture / texture.mean((-2, -1), keepdim=True).clamp(min=smallest)
        weight = weight / weight.mean((-2, -1), keepdim=True)
        return (weight * (output - target).abs()).mean()


class Contrastive(ImageLoss):
    """Distance to the target over distance to the bicubically enlarged LR patch, as features.

    The features are those of two random, fixed 3x3 convolutions with a tanh between them, which
    keep the detail that networks trained to recognise things drop. Source: Kong et al., RLFN, CVPRW
    2022; the number of feature channels is ours.
    """

    uses_lr = True
    smallest_patch = 5  # of two convolutions without padding
    EPS = 1e-7  # where the enlarged patch is perfect already

    def __init__(self, *, channels: int = 64) -> None:
        super().__init__()
        check_width(channels)
        layers = (nn.Conv2d(3, channels, 3), nn.Tanh(), nn.Conv2d(channels, channels, 3))
        self.features = nn.Sequential(*layers).requires_grad_(False)

    def forward(self, output: Tensor, target: Tensor, lr: Tensor) -> Tensor:
        negative = imresize(lr, size=(target.shape[-2], target.shape[-1]))
        of_output, of_target, of_negative = map(self.features, (output, target, negative))
        near = (of_output - of_target).abs().mean()
        return near / ((of_output - of_negative).abs().mean() + self.EPS)


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pixel's difference to its upper and to its left neighbour."""
    return x.diff(dim=-2), x.diff(dim=-1)


LOSSES: dict[str, type[ImageLoss] | str] = {
    "balanced_diversity": BalancedDiversity,
    "charbonnier": Charbonnier,
    "content": "sr_zoo.training.perceptual.Content",
    "contrastive": Contrastive,
    "edge": Edge,
    "fft_l1": FFTL1,
    "gan": "sr_zoo.training.adversarial.GAN",
    "l1": L1,
    "l2": L2,
    "relativistic_gan": "sr_zoo.training.adversarial.RelativisticGAN",
    "ssim": SSIM,
    "texture": "sr_zoo.training.perceptual.Texture",
    "total_variation": TotalVariation,
    "uncertainty": "sr_zoo.training.uncertainty.Uncertainty",
}


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


def find_loss(name: str) -> type[ImageLoss]:
    """Return the class of a loss.

    Raises:
        OptionError: There is no such loss.
    """
    if name not in LOSSES:
        raise OptionError(
            f"Unknown loss {name!r}.{did_you_mean(name, LOSSES)} Known are {', '.join(LOSSES)}"
        )
    found = LOSSES[name]
    if isinstance(found, str):  # built on this module
        module, _, class_name = found.rpartition(".")
        loss: type[ImageLoss] = getattr(import_module(module), class_name)
        return loss
    return found


def check_patch(name: str, size: int) -> None:
    """Raise OptionError if there is no such loss, or it cannot use HR patches of a size."""
    loss = find_loss(name)
    needed = f"loss {name!r} needs a data.patch_size"
    if size < loss.smallest_patch:
        raise OptionError(f"{needed} of at least {loss.smallest_patch}, got {size}")
    if size % loss.patch_multiple:
        raise OptionError(f"{needed} that is a multiple of {loss.patch_multiple}, got {size}")


def build_loss(loss: recipe.Loss) -> ImageLoss:
    """Build a loss of a recipe.

    Raises:
        OptionError: It is unknown, or does not take an argument given to it.
    """
    kind = find_loss(loss.name)
    named = f"loss {loss.name!r}"
    arguments = typed(kind.__init__, loss.arguments, named)
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, SRZooError):
            raise
        raise OptionError(f"{named}: {error}") from error
