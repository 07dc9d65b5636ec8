"""RLFN: residual local feature network.

RFDN's idea without its distillation: three activated 3x3 convolutions in a row refine the features,
and nothing leaves the chain early, so that little has to be kept in memory. Every block ends in
enhanced spatial attention (ESA), which sees far at the price of a strongly pooled map. The form
with four blocks (`rlfn_ntire`) won the runtime track of NTIRE 2022's efficient SR challenge.

```mermaid
flowchart LR
  x([features]) --> convs["3 times: 3x3, leaky ReLU"] --> add((+)) --> project["1x1"]
  x --> add
  project --> squeeze["1x1"] --> pool["3x3 stride 2, max pool, 3x3, resize"] --> sum((+))
  squeeze --> skip["1x1"] --> sum --> gate["1x1, sigmoid"] --> mul((*)) --> y([features])
  project --> mul
```

Paper: Kong et al., CVPRW 2022, arXiv:2205.07514. RGB in [0, 1] outside, [0, 255] inside.
"""

from itertools import pairwise

from torch import Tensor, nn

from sr_zoo.blocks import ESA, PassingMap, PixelShuffleUpsampler, crop, in_strips, pad_to_minimum
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

LEAKY_SLOPE = 0.05
PIXEL_MAX = 255.0  # the authors trained and published on [0, 255], without mean shift


class RLFB(nn.Module):
    """Residual local feature block: three activated 3x3 convolutions, a 1x1, then ESA."""

    def __init__(self, channels: int, hidden: int, esa_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise((channels, hidden, hidden, channels)):
            layers += [nn.Conv2d(width_in, width_out, 3, padding=1), nn.LeakyReLU(LEAKY_SLOPE)]
        self.convs = nn.Sequential(*layers)
        self.reach = len(layers) // 2
        self.project = nn.Conv2d(channels, channels, 1)
        self.attention = ESA(channels, esa_channels, num_convs=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention.gate(in_strips(self._refined, x, reach=self.reach))

    def _refined(self, x: Tensor) -> Tensor:
        return self.project(x + self.convs(x))


class RLFN(SRNetwork):
    """A chain of RLFBs under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = ESA.WINDOW
    in_strips = True

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 52,
        hidden: int = 52,
        num_blocks: int = 6,
        esa_channels: int = 16,
    ) -> None:
        super().__init__(scale)
        blocks = [RLFB(channels, hidden, esa_channels) for _ in range(num_blocks)]
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*blocks)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        image = pad_to_minimum(x, self.least_side) * PIXEL_MAX
        deep = self.head(image)
        for block in self.body:
            deep = block(deep)
        passing = PassingMap(deep)
        del deep
        out = in_strips(self._pixels, image, passing, reach=3, scale=self.scale)
        return crop(out, self.scale * height, self.scale * width)

    def _pixels(self, image: Tensor, deep: Tensor) -> Tensor:
        # computing the first features again takes less than holding them all the way
        return self.upsampler(self.head(image) + self.body_out(deep)) / PIXEL_MAX


SPEC = ArchSpec(
    network=RLFN,
    variants={
        "rlfn": Variant(halo=177, scales=(2, 4)),
        "rlfn_s": Variant(halo=177, arguments={"channels": 48, "hidden": 48}),
        "rlfn_ntire": Variant(
            halo=117, scales=(4,), arguments={"channels": 46, "hidden": 48, "num_blocks": 4}
        ),
    },
    paper=Paper(
        "Residual Local Feature Network for Efficient Super-Resolution",
        "CVPRW",
        2022,
        "2205.07514",
    ),
    tags=("cnn", "attention"),
    reference="bytedance/RLFN",
    reference_license="Apache-2.0",
    grid=ESA.STRIDE,
)
