"""Convolutions that the library's networks share."""

from torch import nn


class StripedConv2d(nn.Sequential):
    """A large depthwise kernel as two strips, 1 x k then k x 1, nothing between them.

    Costs 2k instead of k*k multiply-adds per value. Source: SeemoRe (Zamfir et al., ICML 2024),
    section 3.2 (striped convolution, k = 11, and k = 3 in its router branch).

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        kernel_size: k; odd.

    Raises:
        ValueError: `kernel_size` is even, which would shift the picture.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        half = kernel_size // 2
        super().__init__(
            nn.Conv2d(channels, channels, (1, kernel_size), padding=(0, half), groups=channels),
            nn.Conv2d(channels, channels, (kernel_size, 1), padding=(half, 0), groups=channels),
        )


class BSConv(nn.Sequential):
    """Blueprint separable convolution: a 1x1 mixes the channels, then each is convolved by itself.

    The reverse order of a depthwise separable convolution; nothing lies between the two. Called
    like `nn.Conv2d`, so that it fits wherever a block takes a factory for its convolutions.
    Source: Haase and Amthor, CVPR 2020, the unconstrained form (BSConv-U); in super-resolution
    since BSRN (Li et al., CVPRW 2022).

    Shape: (N, in_channels, H, W) to (N, out_channels, H', W'), as `nn.Conv2d` with these sizes.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        kernel_size: Of the depthwise convolution.
        stride: Of the depthwise convolution.
        padding: Of the depthwise convolution.
        pointwise_bias: Whether the 1x1 has a bias; the depthwise convolution always has.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        pointwise_bias: bool = False,
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, bias=pointwise_bias),
            nn.Conv2d(
                out_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=padding,
                groups=out_channels,
            ),
        )
