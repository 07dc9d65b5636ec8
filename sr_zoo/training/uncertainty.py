"""The uncertainty-driven loss: pixels that are hard to know count more."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sr_zoo.training.losses import ImageLoss, check_width


class Uncertainty(ImageLoss):
    """L1 weighted by how uncertain each pixel is, as a small network learns to tell.

    Source: Ning et al., "Uncertainty-driven loss for single image super-resolution", NeurIPS 2021.
    There, a branch of the network gives the logarithm s of the variance; a first stage trains both
    with exp(-s) |d| + 2 s, a second one the network alone with (s - min s) |d|. The networks of
    this library have one output, so here a network of three convolutions estimates s from the
    output, learning by the first formula while the network learns by the second.

    Args:
        channels: Width of the estimating network.
    """

    def __init__(self, *, channels: int = 32) -> None:
        super().__init__()
        check_width(channels)
        self.estimate = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 3, 3, padding=1),
        )

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        distance = (output - target).abs()
        log_variance = self.estimate(output.detach())
        certain = distance.detach()
        estimating = (torch.exp(-log_variance) * certain + 2 * log_variance).mean()
        lowest = log_variance.amin((1, 2, 3), keepdim=True)
        weight = (log_variance - lowest).detach()
        return (weight * distance).mean() + estimating
