"""RDAN: residual distillation attention network, designed for this library; no paper.

Three activated 3x3 convolutions in a chain are all fused by a 1x1 and gated channel by channel. The
outputs of all blocks are fused too, and one spatial attention (ESA) at the end of the chain,
instead of one per block, gates what they give. It joins RFDN's collecting of features with RCAN's
channel attention.

```mermaid
flowchart LR
  x([features]) --> a["3x3, ReLU"] --> b["3x3, ReLU"] --> c["3x3, ReLU"]
  a & b & c --> fuse["concatenate, 1x1"] --> gate["channel attention"] --> add((+))
  x --> add --> y([features])
```

RGB in [0, 1], no mean shift.
"""

import torch
from torch import Tensor, nn

from sr_zoo.blocks import ESA, CALayer, CollectingChain, PixelShuffleUpsampler, crop, pad_to_minimum
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

ESA_REDUCTION = 4  # as in RFDN


class ResidualDistillationBlock(nn.Module):
    """Three activated 3x3 convolutions in a chain, all fused and channel-gated, plus the input."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.fuse_features = nn.Conv2d(3 * channels, channels, 1)
        self.attention = CALayer(channels, channels // reduction)

    def forward(self, x: Tensor) -> Tensor:
        features = []
        current = x
        for conv in self.convs:
            current = torch.relu(conv(current))
            features.append(current)
        return x + self.attention(self.fuse_features(torch.cat(features, dim=1)))


class RDAN(SRNetwork):
    """A chain of blocks whose outputs are all fused; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    least_side = ESA.WINDOW

    def __init__(
        self, *, scale: int, channels: int = 64, num_blocks: int = 6, reduction: int = 16
    ) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = CollectingChain(
            *(ResidualDistillationBlock(channels, reduction) for _ in range(num_blocks))
        )
        self.body_out = nn.Conv2d(num_blocks * channels, channels, 1)
        self.attention = ESA(channels, channels // ESA_REDUCTION)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = torch.relu(self.head(pad_to_minimum(x, self.least_side)))
        deep = self.attention(self.body_out(self.body(shallow)))
        return crop(self.upsampler(shallow + deep), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=RDAN,
    variants={
        "rdan": Variant(halo=59),
        "rdan_s": Variant(halo=54, arguments={"channels": 48, "num_blocks": 4}),
    },
    paper=Paper("Residual distillation attention network (this library)", "-", 2026),
    tags=("cnn", "attention", "distillation"),
    grid=ESA.STRIDE,
    global_statistics=True,
)
