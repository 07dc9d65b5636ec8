"""DLGSANet: dynamic local and global self-attention network.

Local attention is a depthwise 7x7 convolution whose kernel is predicted for every pixel, drawn
below. Global attention, in every second block, compares channels over the whole image, or over
large windows in evaluation, and keeps by ReLU only what is similar. Each block has a feed-forward
part in which one half gates the other.

```mermaid
flowchart LR
  x([features]) --> n1["norm, 1x1"] --> dyn["dynamic depthwise 7x7, 1x1"] --> add((+))
  n1 --> kernels["1x1, depthwise 7x7, 1x1"] -- "kernel per pixel" --> dyn
  x --> add --> ffn["norm, gated FFN"] --> sum((+)) --> y([features])
  add --> sum
```

Paper: Li et al., ICCV 2023, arXiv:2301.02031. RGB in [0, 1], mean-shifted inside.

Departs from the authors' code in two points: their CUDA operator for the dynamic convolution is
plain torch here, and evaluation takes batches.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    BSConv,
    GatedDepthwiseFFN,
    LayerNorm2d,
    MeanShift,
    PixelShuffleUpsampler,
    TransformerLayer,
    hooked_weight,
    is_plain,
    unit_length,
)
from sr_zoo.blocks.tile_view import current_view
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-5
EXPANSION = 2
KERNEL_SIZE = 7
REDUCTION = 4
# LR pixels per side of an attention window in evaluation, where it is not the 96 of x2
WINDOWS: dict[int, dict[str, int]] = {3: {"window_size": 72}, 4: {"window_size": 48}}


class DynamicDepthwiseConv(nn.Module):
    """A depthwise 7x7 convolution whose kernel is predicted for every pixel (section 3.1, MHDLSA).

    `group_width` neighbouring channels share a kernel. The kernels come into being one row of taps
    at a time, and each tap is a shifted copy times its weights: memory grows with the features and
    not with 49 copies of them.
    """

    def __init__(self, channels: int, group_width: int) -> None:
        super().__init__()
        self.groups = channels // group_width
        reduced = channels // REDUCTION
        half = KERNEL_SIZE // 2
        self.describe = nn.Sequential(
            nn.Conv2d(channels, reduced, 1),
            nn.Conv2d(reduced, reduced, KERNEL_SIZE, padding=half, groups=reduced),
        )
        self.kernels = nn.Conv2d(reduced, self.groups * KERNEL_SIZE**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        description = self.describe(x)
        taps_of = (self.groups, KERNEL_SIZE, KERNEL_SIZE)
        if by_rows := is_plain(self.kernels):
            weight = torch.unflatten(hooked_weight(self.kernels), 0, taps_of)
            bias = torch.unflatten(cast("Tensor", self.kernels.bias), 0, taps_of)
        else:
            whole = torch.unflatten(self.kernels(description), 1, taps_of)
        half = KERNEL_SIZE // 2
        padded = torch.unflatten(F.pad(x, (half, half, half, half)), 1, (self.groups, -1))
        out = torch.unflatten(torch.zeros_like(x), 1, (self.groups, -1))
        for row in range(KERNEL_SIZE):
            if by_rows:
                taps = F.conv2d(description, weight[:, row].flatten(0, 1), bias[:, row].flatten())
                taps = torch.unflatten(taps[:, :, None], 1, (self.groups, KERNEL_SIZE))
            else:
                taps = whole[:, :, row, :, None]
            line = padded.narrow(-2, row, height)
            for column, tap in enumerate(taps.unbind(2)):
                out.addcmul_(line.narrow(-1, column, width), tap)
        return out.flatten(1, 2)


class SparseChannelAttention(nn.Module):
    """Cosine attention among channels with ReLU instead of softmax (section 3.2, SparseGSA).

    Training takes the image as one window. Evaluation takes windows of at most `window` pixels per
    side, spread evenly over the image, and averages where they overlap (test-time local converter).
    """

    def __init__(self, channels: int, num_heads: int, window: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = BSConv(channels, 3 * channels, 3, padding=1, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x)
        if self.training:
            return self.project(self._attend(qkv))
        batch, channels, height, width = x.shape
        rows, columns = (window_cells(x, axis, self.window) for axis in (0, 1))
        windows = qkv[:, :, rows[:, None, :, None], columns[None, :, None, :]]
        windows = windows.permute(0, 2, 3, 1, 4, 5)  # (N, down, across, 3 * C, h, w)
        grid, sides = windows.shape[1:3], windows.shape[-2:]
        out = self._attend(windows.flatten(0, 2))
        out = out.reshape(batch, *grid, channels, *sides).permute(0, 3, 1, 4, 2, 5)
        out = add_windows(out.flatten(2, 3).flatten(3, 4), rows.flatten(), -2, height)
        out = add_windows(out, columns.flatten(), -1, width)
        return self.project(out)

    def _attend(self, qkv: Tensor) -> Tensor:
        """Map (N, 3 * C, H, W) to (N, C, H, W)."""
        height, width = qkv.shape[-2:]
        parts = torch.unflatten(qkv.flatten(2), 1, (3, self.num_heads, -1))
        query, key, value = parts.unbind(1)
        logits = unit_length(query, -1) @ unit_length(key, -1).transpose(-2, -1)
        out = torch.relu(logits * self.temperature) @ value
        return torch.unflatten(out.flatten(1, 2), 2, (height, width))


def window_cells(x: Tensor, axis: int, window: int) -> Tensor:
    """Return the cells (windows, cells) of windows that cover an axis evenly, the last flush.

    In a tile they lie where the whole image has them; those that it cuts are moved inside.
    """
    length, view = x.shape[2 + axis], current_view()
    whole = length if view is None else view.length(axis, length)
    side = _smaller(whole, window)
    count = (whole - 1) // window + 1
    gaps = -_smaller(1 - count, -1)  # one at least
    step = (whole - side + gaps - 1) // gaps
    starts = torch.clamp(torch.arange(count, device=x.device) * step, max=whole - side)
    if view is not None:
        side = min(side, length)
        starts = starts - view.origin[axis]
        starts = starts[(starts + window > 0) & (starts < length)].clamp(0, length - side)
    return starts[:, None] + torch.arange(side, device=x.device)


def _smaller(a: int, b: int) -> int:
    """Return the smaller number; `a` is a symbol while torch compiles, and a tensor in a trace."""
    if isinstance(a, Tensor):
        return torch.clamp(a, max=b)
    return cast("int", torch.sym_min(a, b))


def add_windows(windows: Tensor, cells: Tensor, dim: int, length: int) -> Tensor:
    """Put what lies window by window along `dim` to its cells, averaged where windows overlap."""
    shape = list(windows.shape)
    shape[dim] = length
    total = windows.new_zeros(shape).index_add(dim, cells, windows)
    count = windows.new_zeros(length).index_add(0, cells, windows.new_ones(cells.shape[0]))
    return total / (count[:, None] if dim == -2 else count)


def dynamic_conv(channels: int, group_width: int) -> nn.Sequential:
    """Return the dynamic convolution between 1x1 ones."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        DynamicDepthwiseConv(channels, group_width),
        nn.Conv2d(channels, channels, 1, bias=False),
    )


def layer(channels: int, attention: nn.Module) -> TransformerLayer:
    """Return attention and a feed-forward block, both normalised."""
    return TransformerLayer(
        attention,
        GatedDepthwiseFFN(channels, EXPANSION * channels),
        norm=lambda: LayerNorm2d(channels, NORM_EPS),
    )


class HybridGroup(nn.Module):
    """Pairs of a dynamic and a sparse block and a 3x3 convolution under one skip (RHDTG)."""

    def __init__(self, channels: int, num_pairs: int, num_heads: int, window: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(num_pairs):
            layers += [
                layer(channels, dynamic_conv(channels, num_heads)),
                layer(channels, SparseChannelAttention(channels, num_heads, window)),
            ]
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class DLGSANet(SRNetwork):
    """Hybrid groups under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Evaluation and training differ: see `SparseChannelAttention`.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_groups: Hybrid groups.
        num_pairs: Pairs of blocks per group.
        num_heads: Heads of the sparse attention, and channels that share a dynamic kernel.
        window_size: LR pixels per side of the windows of the sparse attention, in evaluation.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 48,
        num_groups: int = 3,
        num_pairs: int = 3,
        num_heads: int = 6,
        window_size: int = 96,
    ) -> None:
        super().__init__(scale)
        groups = [
            HybridGroup(channels, num_pairs, num_heads, window_size) for _ in range(num_groups)
        ]
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(*groups, nn.Conv2d(channels, channels, 3, padding=1))
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.mean_shift(x))
        out = self.upsampler(shallow + self.body(shallow))
        return self.mean_shift.restore(out)


SPEC = ArchSpec(
    network=DLGSANet,
    variants={
        "dlgsanet_light": Variant(halo=271, arguments={"num_groups": 4}, scale_arguments=WINDOWS),
        "dlgsanet_tiny": Variant(halo=252, scale_arguments=WINDOWS),
    },
    paper=Paper(
        "DLGSANet: Lightweight Dynamic Local and Global Self-Attention Networks for Image "
        "Super-Resolution",
        "ICCV",
        2023,
        "2301.02031",
    ),
    tags=("transformer", "attention", "dynamic"),
    reference="NeonLeexiang/DLGSANet",
    reference_license="Apache-2.0",
    fading=True,  # the halo counts two windows of the largest; layer by layer, they see on
)
