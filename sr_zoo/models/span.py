"""SPAN: swift parameter-free attention network.

The last of three convolutions gates itself: its output passes through a sigmoid that is shifted to
be odd, which strengthens what is strong and needs no parameters. Plain 3x3 convolutions are all
that runs. In training (`span_*_train`) each is three in a row beside a 1x1; `sr_zoo.fuse` turns
that into the deployed form, tensor names included. The released weights of 28 and 26 channels are
of the deployed form, as entered in the NTIRE 2024 challenge; those of 48, the paper's, are of the
training form.

```mermaid
flowchart LR
  x([features]) --> a["3x3, SiLU"] --> b["3x3, SiLU"] --> c["3x3"]
  c --> add((+)) --> mul((*)) --> y([features])
  x --> add
  c --> gate["sigmoid - 0.5"] --> mul
```

Paper: Wan et al., CVPRW 2024, arXiv:2311.12770. RGB in [0, 1] outside; mean-shifted and in [0, 255]
units inside up to the last convolution, which answers in [0, 1] by itself.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from sr_zoo.blocks import MeanShift, PixelShuffleUpsampler, SPANTrunk, conv3x3
from sr_zoo.blocks.reparam import ParallelConvs
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0
EXPANSION = 2


def expanded_conv(in_channels: int, out_channels: int) -> ParallelConvs:
    """Return a 3x3 convolution between two 1x1 at a larger width, and a 1x1 beside them."""
    hidden_in, hidden_out = EXPANSION * in_channels, EXPANSION * out_channels
    deep = nn.Sequential(
        nn.Conv2d(in_channels, hidden_in, 1, padding=1),
        nn.Conv2d(hidden_in, hidden_out, 3),
        nn.Conv2d(hidden_out, out_channels, 1),
    )
    return ParallelConvs(
        in_channels, {"deep": deep, "skip": nn.Conv2d(in_channels, out_channels, 1)}
    )


class GatedNetwork(SRNetwork):
    """Gated blocks of convolutions of the kind `conv`."""

    def __init__(
        self, scale: int, channels: int, num_blocks: int, conv: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.trunk = SPANTrunk(channels, num_blocks, conv=conv)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampler(self.trunk(self.mean_shift(x) * PIXEL_MAX))


class SPAN(GatedNetwork):
    """The deployed form; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 28, num_blocks: int = 6) -> None:
        super().__init__(scale, channels, num_blocks, conv3x3)


class SPANTrain(GatedNetwork):
    """The form that is trained; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 28, num_blocks: int = 6) -> None:
        super().__init__(scale, channels, num_blocks, expanded_conv)


SPEC = ArchSpec(
    network=SPAN,
    variants={
        "span_ch28": Variant(halo=21, scales=(4,)),
        "span_ch48": Variant(halo=21, scales=(2, 4), arguments={"channels": 48}),
        "span_tiny_ch26": Variant(halo=21, scales=(4,), arguments={"channels": 26}),
    },
    paper=Paper(
        "Swift Parameter-free Attention Network for Efficient Super-Resolution",
        "CVPRW",
        2024,
        "2311.12770",
    ),
    tags=("cnn", "attention"),
    reference="Amazingren/NTIRE2024_ESR",
    reference_license="MIT",
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=SPANTrain,
        variants={f"{name}_train": variant for name, variant in SPEC.variants.items()},
        tags=("cnn", "attention", "reparameterisable"),
    ),
)
