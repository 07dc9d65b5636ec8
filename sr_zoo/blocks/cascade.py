"""Cascades: chains in which every step also sees what all steps before it gave."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

CASCADE = 3  # steps of every published cascade


class CascadeResidualBlock(nn.Module):
    """ReLU of the input plus two 3x3 convolutions of it.

    Groups keep their channels apart, so with more than one a 1x1 follows: CARN-M's efficient
    residual block. Source: Ahn et al., CARN, ECCV 2018, section 3.2 and 3.3.

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        groups: Of the 3x3 convolutions.
        conv: Builds every convolution; called like `nn.Conv2d`.
    """

    def __init__(
        self, channels: int, groups: int, *, conv: Callable[..., nn.Module] = nn.Conv2d
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            conv(channels, channels, 3, padding=1, groups=groups),
            nn.ReLU(),
            conv(channels, channels, 3, padding=1, groups=groups),
        ]
        if groups > 1:
            layers += [nn.ReLU(), conv(channels, channels, 1)]
        self.convs = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.convs(x))


class Cascade(nn.Module):
    """Steps in a chain; behind each a 1x1 sums up the input and what all steps so far gave.

    Fewer than three steps are taken in turn again, with the same weights. Source: Ahn et al., CARN,
    ECCV 2018, section 3.1: the network's blocks are wired like this, and the residual blocks inside
    them too.

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input, of every step and of the output.
        steps: Three steps, or fewer; a single one, as published, is applied three times.
        conv: Builds the 1x1 that sums up; called like `nn.Conv2d`.
    """

    def __init__(
        self,
        channels: int,
        steps: Iterable[nn.Module],
        *,
        conv: Callable[..., nn.Module] = nn.Conv2d,
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        if not 1 <= len(self.steps) <= CASCADE:
            raise ValueError(f"a cascade takes 1 to {CASCADE} steps, got {len(self.steps)}")
        self.mix = nn.ModuleList(conv((i + 2) * channels, channels, 1) for i in range(CASCADE))

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for i, mix in enumerate(self.mix):
            seen.append(self.steps[i % len(self.steps)](x))
            x = torch.relu(mix(torch.cat(seen, dim=1)))
        return x


def normalised_conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Return a convolution with batch normalisation behind it."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, bias=False), nn.BatchNorm2d(out_channels)
    )


class CARNTrunk(nn.Module):
    """CARN-M up to its upsampler, for networks built upon it.

    Source: Ahn et al., CARN, ECCV 2018; the form of ARM and PCSR.

    Shape: (N, 3, H, W) to (N, channels, H, W).

    Args:
        channels: Feature width.
        groups: Of the 3x3 convolutions.
        conv: Builds the convolutions of head and residual blocks; called like `nn.Conv2d`.
        mix: Builds the 1x1 of the cascades; called like `nn.Conv2d`.
    """

    def __init__(
        self,
        channels: int,
        groups: int = 4,
        *,
        conv: Callable[..., nn.Module] = nn.Conv2d,
        mix: Callable[..., nn.Module] = nn.Conv2d,
    ) -> None:
        super().__init__()
        blocks = (
            Cascade(channels, [CascadeResidualBlock(channels, groups, conv=conv)], conv=mix)
            for _ in range(CASCADE)
        )
        self.head = conv(3, channels, 3, padding=1)
        self.body = Cascade(channels, blocks, conv=mix)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.head(x))
