"""From features at LR size to pixels at HR size."""

from torch import nn


class PixelShuffleUpsampler(nn.Sequential):
    """One convolution to `out_channels` * scale**2 channels, rearranged into pixels.

    Source: Shi et al., CVPR 2016 (ESPCN), the sub-pixel convolution.

    Shape: (N, in_channels, H, W) to (N, out_channels, scale*H, scale*W).

    Args:
        in_channels: Width of the input.
        out_channels: 3 for RGB.
        scale: Upscaling factor.
        kernel_size: Of the convolution; odd, its padding keeps the size.
    """

    def __init__(
        self, in_channels: int, out_channels: int, scale: int, *, kernel_size: int = 3
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels * scale**2, kernel_size, padding=kernel_size // 2),
            nn.PixelShuffle(scale),
        )
