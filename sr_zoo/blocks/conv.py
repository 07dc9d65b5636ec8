"""Convolutions that the library's networks share."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.hooked import hooked_weight, is_plain

BOTTLENECK = 4
BOTTLENECK_SLOPE = 0.2


def half_convs(
    conv: nn.Conv2d, *, shuffle: bool = False
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return two functions that compute a convolution's output, one half of its channels each.

    That is ``conv(x).chunk(2, dim=1)`` without the copies that the next layers would make of
    views, and the first half can be done with before the second is computed. It is the weights
    that are cut, which are small. A convolution that is not plain is called twice instead.

    Args:
        conv: Without groups, padding and stride.
        shuffle: Whether the halves interleave before the split, as by ``nn.ChannelShuffle(2)``.

    Returns:
        Functions of (N, in_channels, H, W) to (N, out_channels / 2, H, W).
    """
    if not is_plain(conv):

        def of(half: int, x: Tensor) -> Tensor:
            out = F.channel_shuffle(conv(x), 2) if shuffle else conv(x)
            return out.chunk(2, dim=1)[half]

        return partial(of, 0), partial(of, 1)
    weight, bias = hooked_weight(conv), conv.bias
    if shuffle:
        weight = _interleave(weight)
        bias = bias if bias is None else _interleave(bias)
    half = conv.out_channels // 2
    return (
        partial(F.conv2d, weight=weight[:half], bias=bias if bias is None else bias[:half]),
        partial(F.conv2d, weight=weight[half:], bias=bias if bias is None else bias[half:]),
    )


def _interleave(rows: Tensor) -> Tensor:
    """Take the rows of the first and the second half in turns."""
    return rows.unflatten(0, (2, -1)).transpose(0, 1).flatten(0, 1)


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


def conv2d_each(x: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
    """Convolve each image of a batch with a kernel of its own.

    Args:
        x: (N, in_channels, H, W).
        weight: (N, out_channels, in_channels, k, k).
        bias: (N, out_channels).
        padding: Zeros around each image.

    Returns:
        (N, out_channels, H', W').
    """
    if len(x) == 1:  # reshaped as below it would be taken for one laid out plane by plane
        return F.conv2d(x, weight[0], bias[0], padding=padding)
    # the images become groups of one image's channels
    images = x.flatten(0, 1)[None]
    out = F.conv2d(images, weight.flatten(0, 1), bias.flatten(), padding=padding, groups=len(x))
    return torch.unflatten(out[0], 0, (len(x), -1))


def conv1x1(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 1x1 convolution, a linear layer for each pixel."""
    return nn.Conv2d(in_channels, out_channels, 1)


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def bottleneck_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3x3 convolutions that keep height and width, with a quarter of the width between.

    Source: SwinIR (Liang et al., ICCV Workshops 2021), its large form ("3conv").
    """
    hidden = in_channels // BOTTLENECK
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1),
        nn.LeakyReLU(BOTTLENECK_SLOPE),
        nn.Conv2d(hidden, hidden, 1),
        nn.LeakyReLU(BOTTLENECK_SLOPE),
        nn.Conv2d(hidden, out_channels, 3, padding=1),
    )


def add_identity(conv: nn.Conv2d, repeat: int = 1) -> nn.Conv2d:
    """Make an untrained convolution hand on its input besides what it computes.

    Source: QuickSRNet (Berger et al., CVPRW 2023), section 3.1, in place of a skip connection.

    Args:
        conv: Its weights are changed; a group of 1, an odd kernel.
        repeat: How many output channels in a row each input channel is handed to; channels that are
            left over on either side get nothing.

    Returns:
        `conv`.
    """
    rows, columns = conv.weight.shape[-2] // 2, conv.weight.shape[-1] // 2
    channels = torch.arange(min(conv.out_channels, conv.in_channels * repeat))
    with torch.no_grad():
        conv.weight[channels, channels // repeat, rows, columns] += 1
    return conv


class ClippedConvs(nn.Sequential):
    """3x3 convolutions in a row, each clipped to [0, 1] and each handing its input on at first.

    Source: QuickSRNet (Berger et al., CVPRW 2023), section 3.1.

    Shape: (N, in_channels, H, W) to (N, channels, H, W).

    Args:
        in_channels: Width of the input.
        channels: Width of the output and in between.
        num_convs: How many.
    """

    def __init__(self, in_channels: int, channels: int, num_convs: int) -> None:
        layers: list[nn.Module] = []
        for width in (in_channels, *[channels] * (num_convs - 1)):
            layers += [add_identity(conv3x3(width, channels)), nn.Hardtanh(0, 1)]
        super().__init__(*layers)


class ConvChain(nn.Sequential):
    """Convolutions in a row, an activation after each but the last.

    The body of the networks made for phones; item i holds convolution i and its activation.

    Shape: (N, widths[0], H, W) to (N, widths[-1], H, W), as `conv` gives it.

    Args:
        widths: Width of the input, then that of each convolution's output.
        act: Builds the activation for so many channels.
        conv: Builds a convolution from input and output width.

    Raises:
        ValueError: `widths` names no convolution.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        act: Callable[[int], nn.Module],
        conv: Callable[[int, int], nn.Module] = conv3x3,
    ) -> None:
        if len(widths) < 2:
            raise ValueError(f"widths must name an input and an output at least, got {widths}")
        layers = [
            nn.Sequential(conv(width_in, width_out), act(width_out))
            for width_in, width_out in pairwise(widths)
        ]
        super().__init__(*layers[:-1], layers[-1][:1])
