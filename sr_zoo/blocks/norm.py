"""Normalisation of feature maps."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.channels import channels_first, channels_last

SMALLEST_LENGTH = 1e-12


def unit_length(x: Tensor, dim: int) -> Tensor:
    """Divide values by their length along an axis; zeros stay zeros, in every floating-point type.

    Shape: any to the same.
    """
    # float16 has no number as small as what torch puts in the place of no length
    return F.normalize(x, dim=dim, eps=max(SMALLEST_LENGTH, torch.finfo(x.dtype).tiny))


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of each pixel, with weight and bias per channel.

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input.
        eps: Added to the variance. There is no default because papers differ (SAFMN and SeemoRe
            1e-6, DITN 1e-5).
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # spelt out, compilers fuse it without moving the channels to the end and back
            mean = x.mean(1, keepdim=True)
            centred = x - mean
            if torch.compiler.is_exporting():
                # of centred features it would be more exact, but a map more to write and to read in
                # another runtime. That costs digits where means exceed deviations by far; trained
                # networks stay far from that
                power = torch.linalg.vector_norm(x, dim=1, keepdim=True).square() / x.shape[1]
                variance = (power - mean.square()).clamp(min=0)
            else:
                variance = centred.square().mean(1, keepdim=True)
            scale = torch.rsqrt(variance + self.eps)
            return centred * scale * self.weight[:, None, None] + self.bias[:, None, None]
        last = channels_last(x)
        return channels_first(
            F.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps)
        )
