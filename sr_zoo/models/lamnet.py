"""LAMNet: linear adaptive mixer network.

Each pixel sums up the row around it, near pixels one by one and far ones in twos and fours, by
weights that are predicted for it; then the same along columns. That is attention at a cost linear
in the picture's size. A 1x1 branch mixes channels beside it, and the two branches gate each other.

```mermaid
flowchart LR
  x([features]) --> enter["1x1, split"] --> rows["weighted sum of the row"]
  rows --> columns["weighted sum of the column"] --> mul1((*)) --> leave["concatenate, 1x1"]
  enter --> mlp["1x1, ReLU, 1x1"] --> mul2((*)) --> leave --> y([features])
  columns -- "means over the image" --> sg["sigmoid per pixel"] --> mul2
  mlp --> sg
  mlp -- "mean over channels" --> cg["sigmoid per channel"] --> mul1
  columns --> cg
```

Paper: Hu et al., IEEE TIP 2025, arXiv:2409.17597. RGB in [0, 1], mean-shifted inside.

Departs from the authors' code in one point: their CUDA operator for attention along a line is plain
torch here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    MLP,
    LayerNorm2d,
    MeanShift,
    PixelShuffleUpsampler,
    conv1x1,
    global_mean,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-5
# what each of a line's weights stands for: the average of so many pixels from that offset on;
# near the pixel itself one by one, farther away in twos and fours
SEGMENTS = (
    *((-11, 4), (-7, 2), (-5, 2), (-3, 1), (-2, 1), (-1, 1), (0, 1)),
    *((1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (8, 4)),
)
REACH = 11
GROUPS = 4  # channels of one group share a pixel's weights
LENGTHS = sorted({length for _, length in SEGMENTS})


def focal_line_attention(x: Tensor, weights: Tensor) -> Tensor:
    """Sum the segments of the row around each pixel, weighted (focal separable attention).

    Args:
        x: (N, C, H, W); zero outside.
        weights: (N, GROUPS * 13, H, W).

    Returns:
        (N, C, H, W).
    """
    width = x.shape[-1]
    padded = F.pad(x, (REACH, REACH))
    averages = {
        length: torch.unflatten(F.avg_pool2d(padded, (1, length), stride=1), 1, (GROUPS, -1))
        for length in LENGTHS
    }
    taps = torch.unflatten(weights[:, :, None], 1, (GROUPS, len(SEGMENTS))).unbind(2)
    out = torch.unflatten(torch.zeros_like(x), 1, (GROUPS, -1))
    for tap, (start, length) in zip(taps, SEGMENTS, strict=True):
        out.addcmul_(averages[length].narrow(-1, REACH + start, width), tap)
    return out.flatten(1, 2)


def line_weights(channels: int, kernel_size: tuple[int, int]) -> nn.Sequential:
    """Return what predicts the weights of a line: a depthwise convolution along it, a 1x1."""
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size, padding=padding, groups=channels),
        nn.Conv2d(channels, GROUPS * len(SEGMENTS), 1),
    )


class LinearMixer(nn.Module):
    """Attention along rows, then columns, beside a 1x1 branch, each gating the other (LSAMixer)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        line = 2 * REACH + 1
        self.enter = nn.Conv2d(channels, channels, 1)
        self.channel_branch = MLP(half, half // 2, act=nn.ReLU, layer=conv1x1)
        self.row_weights = line_weights(half, (1, line))
        self.column_weights = line_weights(half, (line, 1))
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        by_channel, in_space = self.enter(x).chunk(2, dim=1)
        by_channel = self.channel_branch(by_channel)
        in_space = focal_line_attention(in_space, torch.tanh(self.row_weights(in_space)))
        weights = torch.tanh(self.column_weights(in_space))
        in_space = focal_line_attention(
            in_space.transpose(-2, -1), weights.transpose(-2, -1)
        ).transpose(-2, -1)
        spatial_gate = (global_mean(in_space) * by_channel).mean(1, keepdim=True)
        channel_gate = global_mean(in_space * by_channel.mean(1, keepdim=True))
        return self.leave(
            torch.cat(
                [torch.sigmoid(spatial_gate) * by_channel, torch.sigmoid(channel_gate) * in_space],
                dim=1,
            )
        )


class DoubleGatedFFN(nn.Module):
    """Feed-forward block that gates both of its halves by one of them (DGFN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 2 * channels
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gates, values = self.depthwise(self.expand(x)).chunk(2, dim=1)
        active = F.gelu(gates)
        return self.project(torch.cat([active * gates, active * values], dim=1))


class ScaledResidual(nn.Module):
    """Normalises, runs a layer, scales each channel of what comes out and adds the input."""

    def __init__(self, channels: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels, NORM_EPS)
        self.layer = layer
        self.scale = channel_scale(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.layer(self.norm(x))


def channel_scale(channels: int) -> nn.Parameter:
    """Return a learned factor per channel."""
    return nn.Parameter(torch.ones(1, channels, 1, 1))


class MixerGroup(nn.Module):
    """Mixers and feed-forward blocks in turn under one scaled skip (LAMixerBlock)."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [
                ScaledResidual(channels, LinearMixer(channels)),
                ScaledResidual(channels, DoubleGatedFFN(channels)),
            ]
        self.body = nn.Sequential(*layers)
        self.scale = channel_scale(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.body(x)


class LAMNet(SRNetwork):
    """Mixer groups under one scaled skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_groups: Mixer groups; 5 in the authors' large network.
        depth: Pairs of a mixer and a feed-forward block per group.
    """

    def __init__(
        self, *, scale: int, channels: int = 64, num_groups: int = 4, depth: int = 6
    ) -> None:
        super().__init__(scale)
        groups = [MixerGroup(channels, depth) for _ in range(num_groups)]
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*groups, nn.Conv2d(channels, channels, 3, padding=1))
        self.scale_body = channel_scale(channels)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x))
        out = self.upsampler(shallow + self.scale_body * self.body(shallow))
        return self.mean_shift.restore(out)


SPEC = ArchSpec(
    network=LAMNet,
    variants={"lamnet": Variant(halo=291)},
    paper=Paper(
        "Unifying Dimensions: A Linear Adaptive Mixer for Lightweight Image Super-Resolution",
        "IEEE Transactions on Image Processing",
        2025,
        "2409.17597",
    ),
    tags=("transformer", "attention", "dynamic"),
    reference="zononhzy/LAMNet",
    reference_license="CC-BY-NC-4.0",
    global_statistics=True,
)
