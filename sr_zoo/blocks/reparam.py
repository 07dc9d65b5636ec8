"""Kernel algebra: linear branches of a block merged into the one convolution they amount to.

A block that trains with more layers than it needs afterwards is `Reparameterisable`: its method
``fuse()`` returns the plain module that computes the same, and `sr_zoo.fuse` calls it on every such
block of a network. The functions here are what such methods are made of. All of them return new
convolutions with their own weights and leave their arguments alone. Kernels are multiplied in
double precision.

Merging is exact up to rounding at the image's border too, where zeros are padded once, before the
first layer: ``nn.Conv2d(a, b, 1, padding=1)`` then ``nn.Conv2d(b, c, 3)``, and not the other way
around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.hooked import copy_of, hooked_weight
from sr_zoo.blocks.reparameterisable import Reparameterisable, fuse_block


class ParallelConvs(nn.ModuleDict, Reparameterisable):
    """Linear branches on one input, added up; after training they are one convolution.

    Sources: Ding et al., ACNet, ICCV 2019, and RepVGG, CVPR 2021.

    Shape: (N, in_channels, H, W) to (N, out_channels, H, W), as the branches give it.

    Args:
        in_channels: Width of the input.
        branches: Name to branch, each something that `as_conv` takes and that keeps height and
            width.
    """

    def __init__(self, in_channels: int, branches: Mapping[str, nn.Module]) -> None:
        super().__init__(branches)
        self.in_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (branch(x) for branch in self.values())
        return reduce(torch.add, others, first)

    def fuse(self) -> nn.Conv2d:
        return as_conv(self, self.in_channels)


def as_conv(module: nn.Module, channels: int) -> nn.Conv2d:
    """Return a linear module as one convolution of the type and on the device of its weights.

    Args:
        module: A convolution, an identity, a batch normalisation, a block whose method `fuse` gives
            a convolution, or a sequence of these.
        channels: Width of the module's input.

    Raises:
        TypeError: `module` is none of these.
    """
    tensors = chain(module.parameters(), module.buffers(), [torch.empty(0, device="cpu")])
    like = next(tensor for tensor in tensors if tensor.is_floating_point())
    # rounded once, at the end; on the CPU, since some devices lack double precision
    return _merged(copy_of(module).cpu().double(), channels).to(like)


def _merged(module: nn.Module, channels: int) -> nn.Conv2d:
    if isinstance(module, ParallelConvs):
        return merge_parallel([_merged(branch, module.in_channels) for branch in module.values()])
    if isinstance(module, nn.Sequential):
        convs: list[nn.Conv2d] = []
        for layer in module:
            convs.append(_merged(layer, channels))
            channels = convs[-1].out_channels
        return merge_sequence(convs)
    if isinstance(module, nn.Identity):
        return identity_conv(channels).double()
    if isinstance(module, nn.BatchNorm2d):
        return fold_batch_norm(identity_conv(channels).double(), module)
    conv = fuse_block(module) or module
    if not isinstance(conv, nn.Conv2d):
        raise TypeError(f"{type(module).__name__} is no linear layer that could be a convolution")
    return conv


def merge_sequence(convs: Sequence[nn.Conv2d]) -> nn.Conv2d:
    """Merge convolutions that follow one another, nothing between them.

    Args:
        convs: Stride 1; only the first may pad.

    Raises:
        ValueError: A stride is not 1, or a layer behind the first pads.
    """
    return reduce(_merge_pair, convs)


def _merge_pair(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    for conv in (first, second):
        if _skips_pixels(conv):
            raise ValueError("only convolutions with stride and dilation 1 can be merged")
    if _padding(second) != (0, 0):
        raise ValueError(
            "a convolution that pads cannot follow another: the zeros around its input are not "
            "what the first computes there; pad before the first"
        )
    inner, outer = dense_kernel(first), dense_kernel(second)
    size = (outer.shape[-2] - 1, outer.shape[-1] - 1)
    # every input channel's kernels are the picture that the second convolution is slid over
    weight = F.conv2d(inner.transpose(0, 1), outer.flip(-2, -1), padding=size).transpose(0, 1)
    bias = bias_of(second) + outer.sum((-2, -1)) @ bias_of(first)
    return new_conv(weight, bias, padding=_padding(first), like=first.weight)


def merge_parallel(convs: Sequence[nn.Conv2d]) -> nn.Conv2d:
    """Merge convolutions of the same input whose outputs are added.

    Args:
        convs: Stride 1, odd kernels, each padded so that it keeps height and width.

    Raises:
        ValueError: The padding of one does not keep the size.
    """
    for conv in convs:
        if _skips_pixels(conv) or _padding(conv) != _same_padding(conv.weight):
            raise ValueError(
                "only convolutions that keep height and width, with stride and dilation 1, can be "
                "added up"
            )
    kernels = [dense_kernel(conv) for conv in convs]
    height, width = (max(kernel.shape[axis] for kernel in kernels) for axis in (-2, -1))
    weight = reduce(torch.add, (pad_kernel(kernel, height, width) for kernel in kernels))
    return new_conv(weight, reduce(torch.add, map(bias_of, convs)), like=convs[0].weight)


def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Merge a convolution and the batch normalisation behind it, as in evaluation mode.

    Raises:
        ValueError: `norm` keeps no running statistics, so what it computes depends on the batch.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch normalisation without running statistics cannot be merged")
    mean, variance = _exact(norm.running_mean), _exact(norm.running_var)
    gain = (variance + norm.eps).rsqrt()
    shift = torch.zeros_like(mean)
    if norm.affine:
        gain, shift = gain * _exact(norm.weight), _exact(norm.bias)
    weight = dense_kernel(conv) * gain[:, None, None, None]
    bias = (bias_of(conv) - mean) * gain + shift
    return new_conv(weight, bias, padding=_padding(conv), like=conv.weight)


def identity_conv(channels: int, kernel_size: int = 1) -> nn.Conv2d:
    """Return a convolution that changes nothing, in single precision on the CPU."""
    weight = torch.eye(channels, dtype=torch.float32, device="cpu")[..., None, None]
    return new_conv(pad_kernel(weight, kernel_size, kernel_size), None, like=weight)


def pad_kernel(weight: Tensor, height: int, width: int) -> Tensor:
    """Put odd kernels (O, I, h, w) into the middle of larger, otherwise empty ones."""
    rows, columns = (height - weight.shape[-2]) // 2, (width - weight.shape[-1]) // 2
    return F.pad(weight, (columns, columns, rows, rows))


def dense_kernel(conv: nn.Conv2d) -> Tensor:
    """Return a convolution's kernels (O, I, h, w) without groups, in double precision."""
    weight = _exact(hooked_weight(conv))
    if conv.groups == 1:
        return weight
    blocks = weight.chunk(conv.groups)
    dense = weight.new_zeros(conv.out_channels, conv.in_channels, *weight.shape[-2:])
    out, width = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    for group, block in enumerate(blocks):
        rows = slice(group * out, (group + 1) * out)
        dense[rows, group * width : (group + 1) * width] = block
    return dense


def new_conv(
    weight: Tensor,
    bias: Tensor | None,
    *,
    like: Tensor,
    padding: tuple[int, int] | None = None,
    groups: int = 1,
) -> nn.Conv2d:
    """Return a convolution with these kernels.

    Args:
        weight: (O, I / groups, h, w).
        bias: (O,), or None for zeros.
        like: Gives device and floating-point type.
        padding: None for what keeps height and width; the kernels are odd then.
        groups: As for `nn.Conv2d`.
    """
    out_channels, in_channels, height, width = weight.shape
    conv = nn.Conv2d(
        in_channels * groups,
        out_channels,
        (height, width),
        padding=_same_padding(weight) if padding is None else padding,
        groups=groups,
        device="meta",
    )
    bias = weight.new_zeros(out_channels) if bias is None else bias
    conv.weight = nn.Parameter(weight.detach().to(like, copy=True))
    conv.bias = nn.Parameter(bias.detach().to(like, copy=True))
    return conv


def bias_of(conv: nn.Conv2d) -> Tensor:
    """Return a convolution's bias (O,), zeros if it has none, in double precision."""
    if conv.bias is None:
        return torch.zeros(conv.out_channels, dtype=torch.float64, device="cpu")
    return _exact(conv.bias)


def _exact(tensor: Tensor) -> Tensor:
    """Return a copy to calculate with; on the CPU, since some devices lack double precision."""
    return tensor.detach().cpu().double()


def _padding(conv: nn.Conv2d) -> tuple[int, int]:
    if isinstance(conv.padding, str):
        raise ValueError(f"give padding in pixels instead of {conv.padding!r}")
    vertical, horizontal = conv.padding
    if (vertical or horizontal) and conv.padding_mode != "zeros":
        raise ValueError(f"only padding by zeros can be merged, not by {conv.padding_mode!r}")
    return vertical, horizontal


def _skips_pixels(conv: nn.Conv2d) -> bool:
    """Whether there are pixels between those that it computes, or between those that it sees."""
    return conv.stride != (1, 1) or conv.dilation != (1, 1)


def _same_padding(weight: Tensor) -> tuple[int, int]:
    return weight.shape[-2] // 2, weight.shape[-1] // 2
