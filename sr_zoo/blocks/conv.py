"""Convolutions that the library's networks share; every block keeps height and width."""

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
