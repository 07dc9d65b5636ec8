"""Convolutions and linear layers by oneDNN, whatever the size of the map and the number of threads.

torch takes oneDNN for convolutions of large maps only, for 1x1 ones with several threads only, and
for linear layers not at all. What it takes instead rounds in another order, so that a small tile
comes out otherwise than the whole image, and is slower where MKL does not know the processor:
benchmarks/onednn.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F


def convolve(
    input: Tensor,  # names as of the function that it stands for
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Compute what `torch.conv2d` does."""
    if isinstance(padding, str) or not _for_onednn(input, weight) or input.dim() != 4:
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return torch.mkldnn_convolution(
        input, weight, bias, _pair(padding), _pair(stride), _pair(dilation), groups
    )


def apply_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute what `torch.nn.functional.linear` does, as a 1x1 convolution of a row of tokens."""
    if not _for_onednn(input, weight) or weight.dim() != 2:
        return F.linear(input, weight, bias)
    tokens = input.reshape(1, -1, 1, input.shape[-1]).permute(0, 3, 1, 2)
    kernel = weight[:, :, None, None]
    result = torch.mkldnn_convolution(tokens, kernel, bias, (0, 0), (1, 1), (1, 1), 1)
    return result.permute(0, 2, 3, 1).reshape(*input.shape[:-1], len(weight))


def _for_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dtype == weight.dtype == torch.float32
        and x.is_cpu
        and weight.is_cpu
        and x.numel() > 0
        and _usable()
        and bool(torch.backends.mkldnn.enabled)  # users may switch it off
    )


@cache
def _usable() -> bool:
    """Whether torch has oneDNN, on processors where it was measured."""
    known = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return known and torch.backends.mkldnn.is_available()


def _pair(sizes: int | Sequence[int]) -> Sequence[int]:
    return (sizes, sizes) if isinstance(sizes, int) else sizes
