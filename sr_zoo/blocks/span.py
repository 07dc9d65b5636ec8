"""The trunk of SPAN, from plain convolutions or from branches that fuse into them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.conv import conv3x3

FUSED_FEATURES = 4


class SPAB(nn.Module):
    """Swift parameter-free attention block: the last features also gate themselves.

    Source: SPAN (Wan et al., CVPRW 2024), section 3.2; the gate lies between -0.5 and 0.5.

    Shape: (N, channels, H, W) to two of the same: the output, and the first activated features.

    Args:
        channels: Width of the input and of the output.
        conv: Builds each 3x3 convolution from input and output width.
    """

    def __init__(self, channels: int, *, conv: Callable[[int, int], nn.Module] = conv3x3) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second, third = self.convs
        early = F.silu(first(x))
        features = third(F.silu(second(early)))
        return (features + x) * (torch.sigmoid(features) - 0.5), early


class SPANTrunk(nn.Module):
    """SPAN between pixels and upsampler: blocks in a chain, early and late features fused.

    Shape: (N, 3, H, W) to (N, channels, H, W).

    Args:
        channels: Feature width.
        num_blocks: Length of the chain.
        conv: As in `SPAB`.
    """

    def __init__(
        self,
        channels: int,
        num_blocks: int,
        *,
        conv: Callable[[int, int], nn.Module] = conv3x3,
    ) -> None:
        super().__init__()
        self.head = conv(3, channels)
        self.body = nn.ModuleList(SPAB(channels, conv=conv) for _ in range(num_blocks))
        self.body_out = conv(channels, channels)
        self.fuse_features = nn.Conv2d(FUSED_FEATURES * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(x)
        outputs = []
        current = early = shallow
        for block in self.body:
            current, early = block(current)
            outputs.append(current)
        # `early` is what the last block's first convolution gave
        features = [shallow, self.body_out(current), outputs[0], early]
        return self.fuse_features(torch.cat(features, dim=1))
