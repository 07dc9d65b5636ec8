"""Feature distillation: parts of the features leave a chain of convolutions early and are fused."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

NUM_REFINEMENTS = 3  # in every published network


class InformationMultiDistillation(nn.Module):
    """Distillation by splitting: after each convolution some channels leave, the others go on.

    Three 3x3 convolutions, each activated and split, and a fourth without activation that narrows
    what is left; the four parts are gated together, mixed by a 1x1 and added to the input. Source:
    Hui et al., IMDN, ACM MM 2019, section 3.2 (IMDB).

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        distilled: Channels that leave after each convolution; a quarter of `channels` in IMDN, so
            that the four parts fill the width again.
        act: Builds the activation.
        attention: Gates the four parts, `4 * distilled` channels together.
    """

    def __init__(
        self,
        channels: int,
        distilled: int,
        *,
        act: Callable[[], nn.Module],
        attention: nn.Module,
    ) -> None:
        super().__init__()
        remaining = channels - distilled
        self.split = (distilled, remaining)
        widths = [channels] + [remaining] * (NUM_REFINEMENTS - 1)
        self.refine = nn.ModuleList(nn.Conv2d(width, channels, 3, padding=1) for width in widths)
        self.narrow = nn.Conv2d(remaining, distilled, 3, padding=1)
        self.act = act()
        self.attention = attention
        self.project = nn.Conv2d((NUM_REFINEMENTS + 1) * distilled, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        current = x
        for refine in self.refine:
            part, current = self.act(refine(current)).split(self.split, dim=1)
            parts.append(part)
        parts.append(self.narrow(current))
        return x + self.project(self.attention(torch.cat(parts, dim=1)))


class FeatureDistillation(nn.Module):
    """Distillation by 1x1 convolutions beside a chain of shallow residual ones, all parts fused.

    What the blocks of RFDN (Liu et al., ECCVW 2020: RFDB, 3x3 convolutions and leaky ReLU) and of
    BSRN (Li et al., CVPRW 2022: ESDB, blueprint convolutions and GELU) have in common, before
    their attention.

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        distilled: Width of each part; half of `channels` in both papers.
        act: Builds the activation.
        conv: Builds every 3x3 convolution; called like `nn.Conv2d`.
    """

    def __init__(
        self,
        channels: int,
        distilled: int,
        *,
        act: Callable[[], nn.Module],
        conv: Callable[..., nn.Module] = nn.Conv2d,
    ) -> None:
        super().__init__()
        steps = range(NUM_REFINEMENTS)
        self.distil = nn.ModuleList(nn.Conv2d(channels, distilled, 1) for _ in steps)
        self.refine = nn.ModuleList(conv(channels, channels, 3, padding=1) for _ in steps)
        self.narrow = conv(channels, distilled, 3, padding=1)
        self.act = act()
        self.project = nn.Conv2d((NUM_REFINEMENTS + 1) * distilled, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for distil, refine in zip(self.distil, self.refine, strict=True):
            parts.append(self.act(distil(x)))
            x = self.act(refine(x).add_(x))
        parts.append(self.act(self.narrow(x)))
        return self.project(torch.cat(parts, dim=1))
