"""Which axis of a feature map its channels are."""

from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """(N, H, W, C) to (N, C, H, W)."""
    return x.permute(0, 3, 1, 2)
