"""A convolution as a 1x1 that mixes the channels and a depthwise one that sees neighbours."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.hooked import hooked_weight, is_plain


class BSConv(nn.Sequential):
    """Blueprint separable convolution: a 1x1 mixes the channels, then each is convolved by itself.

    The reverse order of a depthwise separable convolution; nothing lies between the two. Called
    like `nn.Conv2d`, so that it fits wherever a block takes a factory for convolutions that have no
    groups.
    Source: Haase and Amthor, CVPR 2020, the unconstrained form (BSConv-U); in super-resolution
    since BSRN (Li et al., CVPRW 2022).

    Shape: (N, in_channels, H, W) to (N, out_channels, H', W'), as `nn.Conv2d` with these sizes.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the output.
        kernel_size: Of the depthwise convolution.
        stride: Of the depthwise convolution.
        padding: Of the depthwise convolution.
        bias: Whether the depthwise convolution has a bias.
        pointwise_bias: Whether the 1x1 has one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
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
                bias=bias,
            ),
        )


def separable_parts(x: Tensor, layers: Iterable[nn.Module], count: int) -> list[Tensor]:
    """Run a 1x1 and a depthwise convolution and split what comes out, each part compact in memory.

    As in `half_convs`, it is the weights that are cut, which are small, if both layers are plain.

    Args:
        x: (N, in_channels, H, W).
        layers: A 1x1 and a depthwise convolution, which keeps height and width, without biases.
        count: Divides the output's channels.

    Returns:
        `count` maps (N, out_channels / count, H, W).
    """
    pointwise, depthwise = layers
    if not is_plain(pointwise, depthwise):
        return list(depthwise(pointwise(x)).chunk(count, dim=1))
    mix, kernels = hooked_weight(pointwise), hooked_weight(depthwise)
    padding = kernels.shape[-1] // 2
    return [
        F.conv2d(F.conv2d(x, mixes), each, padding=padding, groups=len(each))
        for mixes, each in zip(mix.chunk(count), kernels.chunk(count), strict=True)
    ]
