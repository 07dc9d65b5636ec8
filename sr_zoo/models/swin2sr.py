"""Swin2SR: SwinV2 transformer for compressed image super-resolution and restoration, lightweight.

SwinIR's trunk with the blocks of Swin V2: attention by the cosine of queries and keys, a position
bias computed from the offset's logarithm, and norms behind each part instead of before. Training is
steadier for it, and the bias carries over to windows of other sizes. The authors released weights
for x2 only. Files in the layout of Hugging Face's transformers load like the authors' own, and so
do folders and repositories of them.

```mermaid
flowchart LR
  x([features]) --> windows["8x8 windows, every second block shifted"] --> att["cosine attention"]
  bias["MLP of log offsets"] --> att --> n1["norm"] --> a1((+))
  x --> a1 --> mlp["MLP"] --> n2["norm"] --> a2((+)) --> y([features])
  a1 --> a2
```

Paper: Conde et al., ECCV Workshops 2022, arXiv:2209.11345. RGB in [0, 1], mean-shifted inside.

Their test script mirrors images that need no padding by a whole window; here as in their network's
own forward, an image is mirrored only as far as it takes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    MLP,
    PixelShuffleUpsampler,
    ResidualSwinGroup,
    SwinBlock,
    attend_by_cosine,
    conv3x3,
    cosine_scale,
    hooked_weight,
    is_plain,
    join_heads,
    relative_position_index,
    shift_mask,
    split_heads,
)
from sr_zoo.blocks.constants import Constants
from sr_zoo.spec import ArchSpec, Paper, Variant
from sr_zoo.swin_network import SwinNetwork

SIDE = 8  # of windows
WINDOW, SHIFT = (SIDE, SIDE), (SIDE // 2, SIDE // 2)
LARGEST_BIAS = 16.0
BIAS_HIDDEN = 512


def logarithmic_offsets(window: int) -> Tensor:
    """Return rows and columns between two tokens of a window, as logarithms from -1 to 1."""
    steps = torch.arange(1 - window, window) * (8 / (window - 1))
    steps = steps.sign() * (steps.abs() + 1).log2() / 3
    return torch.cartesian_prod(steps, steps)


class ContinuousPositionBias(Constants):
    """A logit per head and offset, computed from the offset's logarithm (Swin V2, section 3.3).

    Called without arguments; returns (heads, tokens, tokens).
    """

    offsets: Tensor
    index: Tensor

    def __init__(self, window: int, num_heads: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(2, BIAS_HIDDEN), nn.ReLU(), nn.Linear(BIAS_HIDDEN, num_heads, bias=False)
        )
        self.register_constant("offsets", logarithmic_offsets, window)
        self.register_constant("index", relative_position_index, (window, window))

    def forward(self) -> Tensor:
        bias = LARGEST_BIAS * torch.sigmoid(self.mlp(self.offsets))
        return bias[self.index].permute(2, 0, 1)


class CosineWindowAttention(nn.Module):
    """Window attention by the cosine of queries and keys, times a learned scale per head.

    Source: Liu et al., Swin Transformer V2, CVPR 2022, section 3.2.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(channels))
        self.value_bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10.0)))
        self.bias = ContinuousPositionBias(SIDE, num_heads)
        self.project = nn.Linear(channels, channels)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        if is_plain(self.qkv):
            features = F.linear(windows, hooked_weight(self.qkv), bias)
        else:
            features = self.qkv(windows) + bias
        query, key, value = (
            split_heads(part, self.num_heads) for part in features.chunk(3, dim=-1)
        )
        scale = cosine_scale(self.log_scale)
        attended = attend_by_cosine(query, key, value, scale, bias=self.bias(), mask=mask)
        return self.project(join_heads(attended))


class PostNormBlock(SwinBlock):
    """A Swin block that normalises what each part adds instead of what it sees (Swin V2)."""

    def forward(self, x: Tensor, *masks: Tensor) -> Tensor:
        x = x + self.norm_attention(self.attend(x, *masks))
        return x + self.norm_ffn(self.ffn(x))


class Swin2SR(SwinNetwork):
    """SwinIR's trunk with Swin V2 blocks; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        depths: Transformer blocks in each group; every second one shifts its windows by half.
        num_heads: In each block.
        expansion: Of the feed-forward blocks.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 60,
        depths: Sequence[int] = (6, 6, 6, 6),
        num_heads: int = 6,
        expansion: int = 2,
    ) -> None:
        def block(index: int) -> PostNormBlock:
            attention = CosineWindowAttention(channels, num_heads)
            ffn = MLP(channels, expansion * channels)
            shift = SHIFT if index % 2 else (0, 0)
            return PostNormBlock(channels, attention, ffn, window=WINDOW, shift=shift)

        def group_out() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 1)
            )

        groups = (ResidualSwinGroup(map(block, range(depth)), group_out()) for depth in depths)
        super().__init__(scale, channels, groups, conv3x3, multiple=SIDE)
        self.embed = nn.Conv2d(channels, channels, 1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def masks(self, x: Tensor) -> list[Tensor]:
        return [shift_mask(x, WINDOW, SHIFT)]

    def embedded(self, shallow: Tensor) -> Tensor:
        return self.embed(shallow)


SPEC = ArchSpec(
    network=Swin2SR,
    variants={"swin2sr_light": Variant(halo=103)},
    paper=Paper(
        "Swin2SR: SwinV2 Transformer for Compressed Image Super-Resolution and Restoration",
        "ECCV Workshops",
        2022,
        "2209.11345",
    ),
    tags=("transformer",),
    reference="mv-lab/swin2sr",
    reference_license="Apache-2.0",
    grid=SIDE,
)
