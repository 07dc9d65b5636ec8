"""DRSAN: dynamic residual self-attention network.

Residual blocks are joined to all features before them by skips whose weights the image decides: one
number per skip, predicted from the group's input and averaged over the picture. What a block adds
also gates its sum, through a sigmoid and without parameters. A 1x1 convolution fuses all features
of a group.

```mermaid
flowchart LR
  x([features]) --> b["PReLU, 3x3, PReLU, 3x3"] --> add((+)) --> mul((*)) --> next["further blocks"]
  b --> gate["sigmoid"] --> mul
  x --> w["1x1, PReLU, 1x1, mean over the image"] -- "skip weights" --> skip["weighted skips"]
  x --> skip --> add
  next --> fuse["concatenate, 1x1"] --> y([features])
  x & mul --> fuse
```

Paper: Park et al., IEEE Transactions on Multimedia 2021, arXiv:2112.04488. RGB in [0, 1], no mean
shift. The authors' code is TensorFlow 1; ours computes the same graph.
"""

import torch
from torch import Tensor, nn

from sr_zoo.blocks import StagedUpsampler, global_mean, run_stages
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

DYNAMIC_WIDTH = 16  # inside the module that predicts how much of each feature is added


class ResidualBlock(nn.Sequential):
    """Two pre-activated 3x3 convolutions; the skip is the group's dynamic one."""

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(2):
            activation = nn.PReLU(channels, init=0.0)
            layers += [activation, nn.Conv2d(channels, channels, 3, padding=1)]
        super().__init__(*layers)


class DynamicResidualGroup(nn.Module):
    """Residual blocks whose skips from all features before are weighted by the image (DRAG).

    One number per image and pair of features is predicted from the group's input and is neither
    normalised nor bounded; what a block adds gates its own output, without parameters (RSA).
    """

    def __init__(self, channels: int, num_blocks: int) -> None:
        super().__init__()
        num_skips = num_blocks * (num_blocks + 1) // 2
        self.skip_weights = nn.Sequential(
            nn.Conv2d(channels, DYNAMIC_WIDTH, 1),
            nn.PReLU(DYNAMIC_WIDTH, init=0.0),
            nn.Conv2d(DYNAMIC_WIDTH, num_skips, 1),
        )
        self.blocks = nn.ModuleList(ResidualBlock(channels) for _ in range(num_blocks))
        self.fuse_features = nn.Conv2d((num_blocks + 1) * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = global_mean(self.skip_weights(x))
        features = [x]
        used = 0
        for block in self.blocks:
            residual = block(features[-1])
            total = residual
            for feature in features:
                total = total + weights[:, used : used + 1] * feature
                used += 1
            features.append(total * torch.sigmoid(residual))
        return self.fuse_features(torch.cat(features, dim=1))


class DRSAN(SRNetwork):
    """A chain of groups under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_groups: Groups in the chain.
        num_blocks: Residual blocks per group.
    """

    def __init__(
        self, *, scale: int, channels: int = 32, num_groups: int = 4, num_blocks: int = 4
    ) -> None:
        super().__init__(scale)
        groups = [DynamicResidualGroup(channels, num_blocks) for _ in range(num_groups)]
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*groups)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = StagedUpsampler(channels, scale)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        deep = self.body_out(self.body(shallow))
        return run_stages(shallow + deep, self.upsampler, self.tail, scale=self.scale)


SPEC = ArchSpec(
    network=DRSAN,
    variants={
        "drsan_32s": Variant(halo=36),
        "drsan_32m": Variant(halo=68, arguments={"num_groups": 8}),
        "drsan_32l": Variant(halo=84, scales=(2,), arguments={"num_groups": 10}),
        "drsan_48s": Variant(halo=28, arguments={"channels": 48, "num_blocks": 3}),
        "drsan_48m": Variant(halo=52, arguments={"channels": 48, "num_groups": 8, "num_blocks": 3}),
    },
    paper=Paper(
        "A Dynamic Residual Self-Attention Network for Lightweight Single Image Super-Resolution",
        "IEEE Transactions on Multimedia",
        2021,
        "2112.04488",
    ),
    tags=("cnn", "attention", "dynamic"),
    reference="saturnian77/DRSAN",
    global_statistics=True,
)
