"""Losses by a discriminator, which learns to tell the network's output from photographs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from sr_zoo.training.distributed import share_gradients
from sr_zoo.training.losses import ImageLoss, check_width

LEAKY_SLOPE = 0.2


class UNetDiscriminator(nn.Module):
    """Judges every pixel, having seen three coarser views of the image; spectral normalisation.

    Source: Wang et al., Real-ESRGAN, ICCVW 2021. (N, 3, H, W), H and W multiples of 8, to logits
    (N, 1, H, W), positive for photographs.

    Args:
        channels: Width at full resolution.
    """

    def __init__(self, *, channels: int = 64) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(4)]
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False))
            for a, b in pairwise(widths)
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 3, padding=1, bias=False))
            for a, b in pairwise(reversed(widths))
        )
        refine = (spectral_norm(nn.Conv2d(channels, channels, 3, padding=1)) for _ in range(2))
        self.refine = nn.ModuleList(refine)
        self.judge = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        levels = [F.leaky_relu(self.head(images), LEAKY_SLOPE)]
        for layer in self.down:
            levels.append(F.leaky_relu(layer(levels[-1]), LEAKY_SLOPE))
        x = levels.pop()
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(layer(x), LEAKY_SLOPE) + levels.pop()
        for layer in self.refine:
            x = F.leaky_relu(layer(x), LEAKY_SLOPE)
        judgement: Tensor = self.judge(x)
        return judgement


class GAN(ImageLoss):
    """What the discriminator takes for a photograph costs nothing: mean of -log sigmoid(D(x)).

    Source: Goodfellow et al., NeurIPS 2014, in the form that does not saturate. Sides of HR patches
    must be multiples of 8.

    Args:
        channels: Width of the discriminator.
        lr: Its learning rate.
    """

    patch_multiple = 8  # the discriminator halves it three times

    def __init__(self, *, channels: int = 64, lr: float = 1e-4) -> None:
        super().__init__()
        check_width(channels)
        # it must not learn from the network's loss; `learn` unfreezes it
        self.discriminator = UNetDiscriminator(channels=channels).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr, (0.9, 0.99))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return self.deceiving(self.discriminator(output), self.discriminator(target))

    def deceiving(self, fake: Tensor, real: Tensor) -> Tensor:
        """Return the network's loss, from logits on its output and on photographs."""
        del real
        return F.softplus(-fake).mean()

    def judging(self, fake: Tensor, real: Tensor) -> Tensor:
        """Return the discriminator's loss, from the same."""
        return (F.softplus(fake).mean() + F.softplus(-real).mean()) / 2

    def learn(self, output: Tensor, target: Tensor) -> float:
        """Let the discriminator learn from a batch; return its loss."""
        self.discriminator.requires_grad_(True)
        loss = self.judging(self.discriminator(output.detach()), self.discriminator(target))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(self.discriminator.parameters())
        self.optimizer.step()
        self.discriminator.requires_grad_(False)
        return float(loss.detach())

    def get_extra_state(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


class RelativisticGAN(GAN):
    """The discriminator tells which is more of a photograph than the other's average.

    Source: Jolicoeur-Martineau, ICLR 2019, as in Wang et al., ESRGAN, ECCVW 2018.
    """

    def deceiving(self, fake: Tensor, real: Tensor) -> Tensor:
        return (F.softplus(real - fake.mean()).mean() + F.softplus(real.mean() - fake).mean()) / 2

    def judging(self, fake: Tensor, real: Tensor) -> Tensor:
        return (F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()) / 2
