"""FSRCNN: SRCNN made fast by working at LR size in few channels.

A 5x5 convolution extracts features, a 1x1 squeezes them to a few channels, and 3x3 convolutions map
them there. A 1x1 widens the result again, and a transposed convolution turns it into pixels at HR
size. SRCNN enlarges the image first; doing so last makes this network many times faster.

```mermaid
flowchart LR
  x([image]) --> head["5x5, PReLU"] --> squeeze["1x1, PReLU"] --> map["4 times: 3x3, PReLU"]
  map --> widen["1x1, PReLU"] --> up["transposed 9x9"] --> y([HR image])
```

Paper: Dong et al., ECCV 2016, arXiv:1608.00367. RGB in [0, 1].

``fsrcnn_pcsr`` is the static network that PCSR is compared with (Jeong et al., ECCV 2024).

Departs from the paper as ETDS's authors do, whose weights it takes: RGB instead of luminance.
"""

from dataclasses import replace

from torch import Tensor, nn

from sr_zoo.blocks import FSRCNNTrunk, TransposedUpsampler
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PCSR_SCALE = 4  # the padding of its transposed convolution fits no other


class FSRCNN(SRNetwork):
    """Features, squeezed, mapped, widened again, and a transposed convolution to pixels."""

    def __init__(
        self, *, scale: int, channels: int = 56, hidden: int = 12, num_layers: int = 4
    ) -> None:
        super().__init__(scale)
        self.head = nn.Sequential(nn.Conv2d(3, channels, 5, padding=2), nn.PReLU(channels))
        layers: list[nn.Module] = [nn.Conv2d(channels, hidden, 1), nn.PReLU(hidden)]
        for _ in range(num_layers):
            layers += [nn.Conv2d(hidden, hidden, 3, padding=1), nn.PReLU(hidden)]
        self.body = nn.Sequential(*layers, nn.Conv2d(hidden, channels, 1), nn.PReLU(channels))
        self.upsampler = TransposedUpsampler(channels, 3, scale, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampler(self.body(self.head(x)))


class SharedSlopeFSRCNN(SRNetwork):
    """FSRCNN with one slope per activation, and none between mapping layers (ClassSR's form)."""

    def __init__(self, *, scale: int, channels: int = 56) -> None:
        super().__init__(scale)
        if scale != PCSR_SCALE:
            raise ValueError(f"scale must be {PCSR_SCALE}, got {scale}")
        self.trunk = FSRCNNTrunk(channels)
        self.upsampler = TransposedUpsampler(channels, 3, scale, 9, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampler(self.trunk(x))


SPEC = ArchSpec(
    network=FSRCNN,
    variants={"fsrcnn": Variant(halo=8)},
    paper=Paper(
        "Accelerating the Super-Resolution Convolutional Neural Network",
        "ECCV",
        2016,
        "1608.00367",
    ),
    tags=("cnn", "baseline"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=SharedSlopeFSRCNN,
        variants={"fsrcnn_pcsr": Variant(halo=7, scales=(PCSR_SCALE,))},
        reference="3587jjh/PCSR",
        reference_license=None,
    ),
)
