"""AWSRN: adaptive weighted super-resolution network.

Every residual unit scales its input and what it adds by learned numbers of their own, and so does
every block around it, so that training decides what each is worth. A block fuses the outputs of all
its units by one 3x3 convolution. Convolutions of four sizes, weighted too, then turn features into
pixels; as they add up, `sr_zoo.fuse` merges them into a single one.

```mermaid
flowchart LR
  x([features]) --> wide["3x3, ReLU, 3x3, scale"] --> add((+)) --> more["3 units more"]
  x --> keep["scale"] --> add
  add & more --> fuse["concatenate, 3x3, scale"] --> sum((+)) --> y([features])
  x --> skip["scale"] --> sum
```

Paper: Wang, Li and Shi, 2019, arXiv:1904.02358. RGB in [0, 1] outside; inside the mean is
subtracted and the rest doubled, so that it spans about [-1, 1].
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import CollectingChain, MeanShift
from sr_zoo.blocks.reparam import ParallelConvs, new_conv
from sr_zoo.blocks.reparameterisable import Reparameterisable
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

INPUT_GAIN = 2.0  # the authors divide [0, 255] minus the mean by 127.5
TAIL_KERNELS = (3, 5, 7, 9)


class WeightNormConv(nn.Module, Reparameterisable):
    """A convolution that keeps the size and learns its kernels as direction and length."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        initial = nn.Conv2d(in_channels, out_channels, kernel_size)
        self.direction = nn.Parameter(initial.weight.detach())
        self.length = nn.Parameter(_norms(initial.weight).detach())
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.padding = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), self.bias, padding=self.padding)

    def weight(self) -> Tensor:
        """Return the kernels (O, I, k, k)."""
        return self.direction * (self.length / _norms(self.direction))

    def fuse(self) -> nn.Conv2d:
        return new_conv(self.weight(), self.bias, like=self.bias)


def _norms(kernels: Tensor) -> Tensor:
    return torch.linalg.vector_norm(kernels, dim=(1, 2, 3), keepdim=True)


class WeightedConv(nn.Module, Reparameterisable):
    """A convolution whose output one learned number scales; a branch of the upsampler."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, gain: float) -> None:
        super().__init__()
        self.conv = WeightNormConv(in_channels, out_channels, kernel_size)
        self.gain = nn.Parameter(torch.tensor([gain]))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * self.conv(x)

    def fuse(self) -> nn.Conv2d:
        weight, bias = self.gain * self.conv.weight(), self.gain * self.conv.bias
        return new_conv(weight, bias, like=self.gain)


class WeightedResidual(nn.Module):
    """Sum of the input and of a module's view of it, each scaled by one learned number."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.gain = nn.Parameter(torch.ones(1))
        self.skip_gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * self.module(x) + self.skip_gain * x


class LocalFusion(nn.Module):
    """Units in a chain whose outputs a 3x3 convolution fuses."""

    def __init__(self, channels: int, units: Sequence[nn.Module]) -> None:
        super().__init__()
        self.units = CollectingChain(*units)
        self.reduction = WeightNormConv(len(units) * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.units(x))


def residual_unit(channels: int, hidden: int) -> WeightedResidual:
    """Build an adaptive weighted residual unit (AWRU), wide between its two convolutions."""
    return WeightedResidual(
        nn.Sequential(
            WeightNormConv(channels, hidden, 3), nn.ReLU(), WeightNormConv(hidden, channels, 3)
        )
    )


class AWSRN(SRNetwork):
    """Weighted fusions of weighted residual units, then convolutions of four sizes to pixels.

    Shape: (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        hidden: Width inside a residual unit.
        num_blocks: Local fusion blocks.
        num_units: Residual units in each.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 32,
        hidden: int = 128,
        num_blocks: int = 4,
        num_units: int = 4,
    ) -> None:
        super().__init__(scale)
        pixels = 3 * scale**2
        blocks = (
            LocalFusion(channels, [residual_unit(channels, hidden) for _ in range(num_units)])
            for _ in range(num_blocks)
        )
        self.mean_shift = MeanShift()
        self.head = WeightNormConv(3, channels, 3)
        self.body = nn.Sequential(*(WeightedResidual(block) for block in blocks))
        self.tail = ParallelConvs(
            channels,
            {
                f"k{k}": WeightedConv(channels, pixels, k, 1 / len(TAIL_KERNELS))
                for k in TAIL_KERNELS
            },
        )
        self.skip = WeightNormConv(3, pixels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mean_shift(x) * INPUT_GAIN
        out = self.tail(self.body(self.head(x))) + self.skip(x)
        return self.mean_shift.restore(F.pixel_shuffle(out, self.scale) / INPUT_GAIN)


SPEC = ArchSpec(
    network=AWSRN,
    variants={
        "awsrn": Variant(halo=41, scales=(2, 3, 4, 8)),
        "awsrn_m": Variant(halo=32, arguments={"num_blocks": 3}),
        "awsrn_s": Variant(halo=14, arguments={"num_blocks": 1}),
        "awsrn_sd": Variant(halo=22, arguments={"channels": 16, "num_blocks": 1, "num_units": 8}),
    },
    paper=Paper(
        "Lightweight Image Super-Resolution with Adaptive Weighted Learning Network",
        "-",
        2019,
        "1904.02358",
    ),
    tags=("cnn", "reparameterisable"),
    reference="ChaofWang/AWSRN",
    reference_license="MIT",
)
