"""ETDS: a dual-stream network whose second stream carries the image to the end.

A chain of 3x3 convolutions makes the details, and a narrow second stream, which starts out as the
image itself, hands it from layer to layer and adds to the first one on the way. `sr_zoo.fuse`
applies the equivalent transformation, which puts both streams of the trained form into one chain of
plain convolutions: no skip is left, which phones compute slowly. The authors' deployed form
(`etds_*_deploy`), whose weights they release, ends in two layers more: they negate, so that their
ReLUs clip to [0, 1] from both sides. After `sr_zoo.fuse` that is left to the caller, as in every
network.

```mermaid
flowchart LR
  f([details]) --> backbone["3x3"] --> add((+)) --> relu1["ReLU"] --> f2([details])
  r([image stream]) --> inject["3x3"] --> add
  r --> residual["3x3"] --> relu2["ReLU"] --> r2([image stream])
```

Paper: Chao et al., CVPR 2023 (equivalent transformation and dual stream). RGB in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import conv3x3
from sr_zoo.blocks.reparam import bias_of, dense_kernel, new_conv, pad_kernel
from sr_zoo.blocks.reparameterisable import Reparameterisable
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

ALIGNMENT = 4  # the deployed form's last width is a multiple of this, for the sake of speed


def _carrier(weight: Tensor) -> nn.Conv2d:
    """Return a 3x3 convolution whose middle is this (O, I) matrix, all else zero."""
    return new_conv(pad_kernel(weight[..., None, None], 3, 3), None, like=weight)


class DualStreamLayer(nn.Module, Reparameterisable):
    """Convolves both streams and adds to the first what it takes from the second."""

    def __init__(self, channels: int, residual_channels: int) -> None:
        super().__init__()
        self.backbone = conv3x3(channels, channels)
        self.residual = _carrier(torch.eye(residual_channels))
        self.inject = _carrier(torch.zeros(channels, residual_channels))

    def forward(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        return (
            torch.relu(self.backbone(x) + self.inject(residual)),
            torch.relu(self.residual(residual)),
        )

    def fuse(self) -> nn.Conv2d:
        """Return the convolution on both streams' channels, those of the first ahead."""
        inject = dense_kernel(self.inject)
        upper = torch.cat((dense_kernel(self.backbone), inject), dim=1)
        lower = torch.cat(
            (torch.zeros_like(inject).transpose(0, 1), dense_kernel(self.residual)), dim=1
        )
        bias = torch.cat((bias_of(self.backbone) + bias_of(self.inject), bias_of(self.residual)))
        return new_conv(torch.cat((upper, lower)), bias, like=self.inject.weight)


class ETDS(SRNetwork, Reparameterisable):
    """Two streams from the same image to pixels, which are added.

    Before training the second stream is nearest-neighbour interpolation.
    """

    def __init__(
        self, *, scale: int, channels: int = 32, num_blocks: int = 4, residual_channels: int = 3
    ) -> None:
        super().__init__(scale)
        width = channels - residual_channels
        carried = torch.eye(residual_channels, 3)
        self.head = conv3x3(3, width)
        self.residual_head = _carrier(carried)
        self.body = nn.ModuleList(
            DualStreamLayer(width, residual_channels) for _ in range(num_blocks)
        )
        self.tail = conv3x3(width, 3 * scale**2)
        repeated = carried.T.repeat_interleave(scale**2, dim=0)
        self.residual_tail = _carrier(repeated)

    def forward(self, x: Tensor) -> Tensor:
        output, residual = self.streams(x)
        return output + residual

    def streams(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each stream contributes; the paper's loss also looks at the second alone."""
        features, residual = torch.relu(self.head(x)), torch.relu(self.residual_head(x))
        for layer in self.body:
            features, residual = layer(features, residual)
        return (
            F.pixel_shuffle(self.tail(features), self.scale),
            F.pixel_shuffle(self.residual_tail(residual), self.scale),
        )

    def fuse(self) -> "TransformedETDS":
        """Apply the equivalent transformation (section 3.2)."""
        heads, tails = (self.head, self.residual_head), (self.tail, self.residual_tail)
        like = self.head.weight
        layers = [cast("DualStreamLayer", layer).fuse() for layer in self.body]
        first = new_conv(
            torch.cat([dense_kernel(conv) for conv in heads]),
            torch.cat([bias_of(conv) for conv in heads]),
            like=like,
        )
        last = new_conv(
            torch.cat([dense_kernel(conv) for conv in tails], dim=1),
            bias_of(self.tail) + bias_of(self.residual_tail),
            like=like,
        )
        return TransformedETDS(self.scale, [first, *layers, last])


class TransformedETDS(SRNetwork):
    """A chain of convolutions with ReLU between them; what `ETDS` fuses into."""

    def __init__(self, scale: int, convs: Sequence[nn.Conv2d]) -> None:
        super().__init__(scale)
        layers = [layer for conv in convs for layer in (conv, nn.ReLU())]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body(x), self.scale)


class DeployedETDS(SRNetwork):
    """A chain of convolutions, each with a ReLU, whose surplus channels are cut off."""

    def __init__(self, *, scale: int, channels: int = 32, num_blocks: int = 4) -> None:
        super().__init__(scale)
        out_channels = -(-3 * scale**2 // ALIGNMENT) * ALIGNMENT
        self.head = conv3x3(3, channels)
        self.body = nn.ModuleList(conv3x3(channels, channels) for _ in range(num_blocks))
        self.tail = conv3x3(channels, out_channels)
        self.clip = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.head, *self.body, self.tail, self.clip):
            x = torch.relu(conv(x))
        return F.pixel_shuffle(x[:, : 3 * self.scale**2], self.scale)


SPEC = ArchSpec(
    network=ETDS,
    variants={
        "etds_m4c32": Variant(halo=6),
        "etds_m5c16": Variant(halo=7, arguments={"channels": 16, "num_blocks": 5}),
        "etds_m6c32": Variant(halo=8, arguments={"num_blocks": 6}),
        "etds_m7c48": Variant(halo=9, arguments={"channels": 48, "num_blocks": 7}),
    },
    paper=Paper(
        "Equivalent Transformation and Dual Stream Network Construction for Mobile Image "
        "Super-Resolution",
        "CVPR",
        2023,
    ),
    tags=("cnn", "mobile", "reparameterisable"),
    reference="ECNUSR/ETDS",
    reference_license="Apache-2.0",
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=DeployedETDS,
        variants={f"{name}_deploy": variant for name, variant in SPEC.variants.items()},
        tags=("cnn", "mobile"),
    ),
)
