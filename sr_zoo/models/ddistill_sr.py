"""DDistill-SR: distillation blocks whose convolutions adapt to the image.

Each unit scales its 3x3 convolution per channel and adds a residual of low rank, both predicted
from the average of its input. A block distils the units' outputs by 1x1 convolutions and the
residuals beside them, and the network fuses both chains. In training, each 3x3 is the sum of four
normalised branches; `sr_zoo.fuse` merges them.

Paper: Wang et al., IEEE Transactions on Multimedia 2022, arXiv:2312.14551. RGB in [0, 1]; the
output is clamped to that, as by the authors.

```mermaid
flowchart LR
    LR --> head[conv] --> b1[DFDB 1] --> b2[DFDB 2] --> b3[DFDB 3] --> b4[DFDB 4]
    b1 & b2 & b3 & b4 --> static[fuse outputs] --> add((+))
    b1 & b2 & b3 & b4 --> dynamic[fuse residuals, gate] --> add
    add --> unit[dynamic unit] --> skip((+)) --> up[conv, pixel shuffle, conv] --> SR
    head --> skip
```
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    ESA,
    PixelShuffleUpsampler,
    channels_first,
    channels_last,
    conv3x3,
    crop,
    global_mean,
    pad_to_minimum,
)
from sr_zoo.blocks.reparam import as_conv, dense_kernel, identity_conv, merge_parallel, new_conv
from sr_zoo.blocks.reparameterisable import Reparameterisable
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

SLOPE = 0.05  # of leaky ReLUs inside blocks
FUSION_SLOPE = 0.1
NUM_UNITS = 3
ESA_REDUCTION = 4


class PaddedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation that pads one pixel with what it makes of zero.

    So a layer behind it may have padded zeros before the convolution in front of it.
    """

    def forward(self, x: Tensor) -> Tensor:
        normalised = F.pad(super().forward(x), (1, 1, 1, 1), value=0.0)
        mean, variance = self.running_mean, self.running_var
        if mean is None or variance is None:
            return normalised
        of_zero = self.bias - mean * self.weight * (variance + self.eps).rsqrt()
        border = F.pad(torch.zeros_like(x[:1, :1]), (1, 1, 1, 1), value=1.0)
        return normalised + border * of_zero.view(1, -1, 1, 1)


class DeltaConv(nn.Conv2d, Reparameterisable):
    """A 1x1 convolution that holds its difference to the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 1, bias=False)
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)

    def fuse(self) -> nn.Conv2d:
        weight = dense_kernel(self) + identity_conv(self.in_channels).weight
        return new_conv(weight, None, like=self.weight)


class DiverseBranchConv(nn.Module, Reparameterisable):
    """Four normalised branches that sum up to a 3x3 convolution (Ding et al., CVPR 2021).

    Shape: (N, channels, H, W) to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        conv = partial(nn.Conv2d, channels, channels, bias=False)
        self.plain = nn.Sequential(conv(3, padding=1), nn.BatchNorm2d(channels))
        self.pointwise = nn.Sequential(conv(1), nn.BatchNorm2d(channels))
        self.average = nn.Sequential(
            conv(1), PaddedBatchNorm(channels), nn.AvgPool2d(3, 1), nn.BatchNorm2d(channels)
        )
        self.deep = nn.Sequential(
            DeltaConv(channels), PaddedBatchNorm(channels), conv(3), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.plain(x) + self.pointwise(x) + self.average(x) + self.deep(x)

    def fuse(self) -> nn.Conv2d:
        box = torch.full((self.channels, 1, 3, 3), 1 / 9, dtype=torch.float64, device="cpu")
        pool = new_conv(box, None, like=box, padding=(0, 0), groups=self.channels)
        branches = [self._merged(self.plain), self._merged(self.pointwise)]
        for branch, second in ((self.average, pool), (self.deep, self.deep[2])):
            first, norm, _, last = branch
            inner = self._merged(nn.Sequential(first, norm))
            inner.padding = (1, 1)  # the border of `PaddedBatchNorm` is what zeros give
            branches.append(self._merged(nn.Sequential(inner, second, last)))
        return merge_parallel(branches)

    def _merged(self, layers: nn.Sequential) -> nn.Conv2d:
        return as_conv(layers, self.channels)


class DynamicResidual(nn.Module):
    """From the image's average, a factor per channel and a residual of low rank.

    Shape: (N, channels, H, W) to (N, channels, 1, 1) and (N, channels, H, W).
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        squeezed = max(channels, rank**2) // 16
        self.rank = rank
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.gate = nn.Linear(squeezed, squeezed, bias=False)
        self.scale = nn.Linear(squeezed, channels, bias=False)
        self.mix = nn.Linear(squeezed, rank**2, bias=False)
        self.reduce = nn.Sequential(nn.Conv2d(channels, rank, 1, bias=False), nn.BatchNorm2d(rank))
        self.norm = nn.BatchNorm1d(rank)
        self.expand = nn.Conv2d(rank, channels, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        summary = self.squeeze(global_mean(x).flatten(1))
        summary = summary * _hard_sigmoid(self.gate(summary))
        scale = _hard_sigmoid(self.scale(summary))[..., None, None]
        matrix = self.mix(summary).view(-1, self.rank, self.rank)
        reduced = self.reduce(x)
        pixels = channels_last(reduced)
        mixed = self.norm((pixels.flatten(1, 2) @ matrix.mT).flatten(0, 1)).view(pixels.shape)
        return scale, self.expand(channels_first(mixed) + reduced)


def _hard_sigmoid(x: Tensor) -> Tensor:
    """Return the authors' form, which goes up to 2."""
    return F.relu6(x + 3) / 3


class DynamicUnit(nn.Module):
    """A convolution scaled by the image, plus its dynamic residual; both, and that residual."""

    def __init__(self, channels: int, rank: int, conv: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.dynamic = DynamicResidual(channels, rank)
        self.conv = conv(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scale, residual = self.dynamic(x)
        return scale * self.conv(x) + residual, residual


class DistillationBlock(nn.Module):
    """Three dynamic units, distilled beside the chain; the residuals join gated (DFDB)."""

    def __init__(self, channels: int, rank: int, conv: Callable[[int], nn.Module]) -> None:
        super().__init__()
        distilled = channels // 2
        self.distil = nn.ModuleList(nn.Conv2d(channels, distilled, 1) for _ in range(NUM_UNITS))
        self.units = nn.ModuleList(DynamicUnit(channels, rank, conv) for _ in range(NUM_UNITS))
        self.narrow = nn.Conv2d(channels, distilled, 1)
        self.project = nn.Conv2d((NUM_UNITS + 1) * distilled, channels, 1)
        self.gate = nn.Conv2d(channels, channels, 1)
        self.mix_residuals = nn.Conv2d((NUM_UNITS + 1) * channels, channels, 1)
        self.attention = ESA(channels, channels // ESA_REDUCTION)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts, residuals = [], [x]
        for distil, unit in zip(self.distil, self.units, strict=True):
            parts.append(F.leaky_relu(distil(x), SLOPE))
            x, residual = unit(x)
            x = F.leaky_relu(x, SLOPE)
            residuals.append(residual)
        fused = self.project(torch.cat([*parts, self.narrow(x)], dim=1))
        gate = torch.sigmoid(self.gate(fused))
        dynamic = gate * self.mix_residuals(torch.cat(residuals, dim=1))
        return self.attention(fused + dynamic), dynamic


class DDistillSR(SRNetwork):
    """A chain of dynamic distillation blocks; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_blocks: Distillation blocks.
        rank: Of the dynamic residuals.
    """

    least_side = ESA.WINDOW

    def __init__(
        self, *, scale: int, channels: int = 56, num_blocks: int = 4, rank: int = 16
    ) -> None:
        super().__init__(scale)
        self.head = conv3x3(3, channels)
        self.body = nn.ModuleList(
            DistillationBlock(channels, rank, self.make_conv) for _ in range(num_blocks)
        )
        self.fuse_outputs = nn.Conv2d(num_blocks * channels, channels, 1)
        self.fuse_residuals = nn.Conv2d(num_blocks * channels, channels, 1)
        self.gate = nn.Conv2d(channels, channels, 1)
        self.body_out = DynamicUnit(channels, rank, self.make_conv)
        # named by the scale, which the authors' tensors are
        upsampler = nn.Sequential(*PixelShuffleUpsampler(channels, 3, scale), conv3x3(3, 3))
        self.upsampler = nn.ModuleDict({f"x{scale}": upsampler})

    @staticmethod
    def make_conv(channels: int) -> nn.Module:
        """Build the 3x3 convolution of a unit."""
        return conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = current = self.head(pad_to_minimum(x, self.least_side))
        outputs, residuals = [], []
        for block in self.body:
            current, residual = block(current)
            outputs.append(current)
            residuals.append(residual)
        static = F.leaky_relu(self.fuse_outputs(torch.cat(outputs, dim=1)), FUSION_SLOPE)
        dynamic = F.leaky_relu(self.fuse_residuals(torch.cat(residuals, dim=1)), FUSION_SLOPE)
        deep, _ = self.body_out(static + torch.sigmoid(self.gate(static)) * dynamic)
        out = self.upsampler[f"x{self.scale}"](deep + shallow)
        return crop(out, self.scale * height, self.scale * width).clamp(0, 1)


class DDistillSRTrain(DDistillSR):
    """The form that is trained, with four branches per 3x3 convolution."""

    @staticmethod
    def make_conv(channels: int) -> nn.Module:
        return DiverseBranchConv(channels)


SPEC = ArchSpec(
    network=DDistillSR,
    variants={"ddistill_sr": Variant(halo=172)},
    paper=Paper(
        "DDistill-SR: Reparameterized Dynamic Distillation Network for Lightweight Image "
        "Super-Resolution",
        "IEEE TMM",
        2022,
        "2312.14551",
    ),
    tags=("cnn", "attention", "distillation", "dynamic"),
    reference="icandle/DDistill-SR",
    reference_license="Apache-2.0",
    grid=6,
    global_statistics=True,
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=DDistillSRTrain,
        variants={"ddistill_sr_train": replace(SPEC.variants["ddistill_sr"], scales=(2, 3, 4))},
        tags=(*SPEC.tags, "reparameterisable"),
    ),
)
