"""SCNet: a fully 1x1 convolutional network; channels shifted by a pixel bring neighbours together.

All convolutions are 1x1, the cheapest there are; between two of them each eighth of the channels
moves by one pixel, in one of eight directions, so that the second sees a 3x3 surrounding. The
features are enlarged bilinearly in the paper's form, and by pixel shuffles in another of the
authors' (`scnet_t_ps`). The network predicts what bilinear upscaling misses.

```mermaid
flowchart LR
  x([features]) --> a["1x1, ReLU"] --> shift["shift 8 groups by a pixel"] --> b["1x1"]
  b --> add((+)) --> y([features])
  x --> add
```

Paper: Wu et al., Machine Intelligence Research 2024, arXiv:2307.16140. RGB in [0, 1], no mean
shift.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import ShiftConv
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.1
STAGE_SLOPE = 0.02


class BilinearStage(nn.Sequential):
    """Bilinear upscaling of the features, then a shift convolution at the larger size."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False),
            ShiftConv(channels, channels, act=lambda: nn.LeakyReLU(STAGE_SLOPE)),
            nn.LeakyReLU(LEAKY_SLOPE),
        )


class ShuffleStage(nn.Sequential):
    """A shift convolution to `factor`**2 times the channels, then a pixel shuffle."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(
            ShiftConv(channels, channels * factor**2, act=lambda: nn.LeakyReLU(STAGE_SLOPE)),
            nn.PixelShuffle(factor),
            nn.LeakyReLU(LEAKY_SLOPE),
        )


class PointwiseNetwork(SRNetwork):
    """Shift convolutions and enlarging stages that predict what bilinear upscaling misses."""

    def __init__(
        self, scale: int, channels: int, num_blocks: int, stage: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__(scale)
        factors = (2, 2) if scale == 4 else (scale,)
        self.head = nn.Sequential(nn.Conv2d(3, channels, 1), nn.LeakyReLU(LEAKY_SLOPE))
        self.body = nn.ModuleList(ShiftConv(channels, channels) for _ in range(num_blocks))
        self.upsampler = nn.Sequential(*(stage(channels, factor) for factor in factors))
        self.tail = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(channels, 3, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        features = self.head(x)
        for block in self.body:
            features = features + block(features)
        return self.tail(self.upsampler(features)) + base


class SCNet(PointwiseNetwork):
    """The form with bilinear stages; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor; at 4 the features are enlarged twice by 2.
        channels: Feature width; a multiple of 8.
        num_blocks: Shift convolutions that are skipped around.
    """

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 16) -> None:
        super().__init__(scale, channels, num_blocks, BilinearStage)


class SCNetPS(PointwiseNetwork):
    """The form with pixel shuffles; shape and arguments as for `SCNet`."""

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 16) -> None:
        super().__init__(scale, channels, num_blocks, ShuffleStage)


SPEC = ArchSpec(
    network=SCNet,
    variants={"scnet_t": Variant(halo=18)},
    paper=Paper(
        "Fully 1x1 Convolutional Network for Lightweight Image Super-Resolution",
        "Machine Intelligence Research",
        2024,
        "2307.16140",
    ),
    tags=("cnn",),
    reference="Aitical/SCNet",
    reference_license="CC-BY-NC-4.0",
)
OTHER_FORMS = (replace(SPEC, network=SCNetPS, variants={"scnet_t_ps": Variant(halo=18)}),)
