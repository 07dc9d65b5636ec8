"""Attention inside windows, the parts that Swin-like networks share; see `window`."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.norm import unit_length
from sr_zoo.blocks.window import RelativePositionBias

LARGEST_COSINE_SCALE = 100.0
WINDOWS_AT_ONCE = 128  # whose own logits to add are in memory at a time


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(..., tokens, C) to (..., heads, tokens, C / heads)."""
    return torch.unflatten(x, -1, (num_heads, -1)).transpose(-3, -2)


def check_halves(num_heads: int) -> None:
    """Check that half of the heads can have windows of one shape, half of another.

    Raises:
        ValueError: There is an odd number of heads.
    """
    if num_heads % 2:
        raise ValueError(
            f"num_heads must be even, half of them for each shape of windows; got {num_heads}"
        )


def join_heads(x: Tensor) -> Tensor:
    """(..., heads, tokens, C / heads) to (..., tokens, C)."""
    return x.transpose(-3, -2).flatten(-2)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Run softmax attention in each window and head by torch's fused kernels.

    Args:
        query: (N, windows, heads, queries, d).
        key: (N, windows, heads, keys, d).
        value: (N, windows, heads, keys, d).
        bias: (heads, queries, keys), added to the logits of every window.
        mask: (windows, queries, keys), added to the logits of every head.
        scale: Of the logits; None for 1 / sqrt(d).

    Returns:
        (N, windows, heads, queries, d).
    """
    if mask is not None and bias is not None:
        return _attend_masked(query, key, value, bias, mask, scale)
    # windows count as images, so that what is added broadcasts
    added = None if bias is None else bias[None]
    if mask is not None:
        added = mask.expand(query.shape[0], *mask.shape).flatten(0, 1)[:, None]
    out = F.scaled_dot_product_attention(
        query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1), attn_mask=added, scale=scale
    )
    return torch.unflatten(out, 0, query.shape[:2])


def _attend_masked(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, mask: Tensor, scale: float | None
) -> Tensor:
    """Attend where each window adds something else to each head, some windows at a time.

    What is added is as large as the logits themselves.
    """
    if torch.compiler.is_compiling():  # a graph cannot hold a loop of unknown length
        parts = [(query, key, value, mask)]
    else:
        tensors = [part.split(WINDOWS_AT_ONCE, dim=1) for part in (query, key, value)]
        parts = list(zip(*tensors, mask.split(WINDOWS_AT_ONCE), strict=True))
    outputs = []
    for some_query, some_key, some_value, some_mask in parts:
        # windows count as heads here
        out = F.scaled_dot_product_attention(
            some_query.flatten(1, 2),
            some_key.flatten(1, 2),
            some_value.flatten(1, 2),
            attn_mask=(bias + some_mask[:, None]).flatten(0, 1)[None],
            scale=scale,
        )
        outputs.append(torch.unflatten(out, 1, some_query.shape[1:3]))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def attend_heads(
    qkv: Tensor, num_heads: int, *, bias: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Run `attend` on queries, keys and values that lie side by side in each token.

    Args:
        qkv: (N, windows, tokens, 3 * C).
        num_heads: Divides C.
        bias: As for `attend`.
        mask: As for `attend`.

    Returns:
        (N, windows, tokens, C).
    """
    query, key, value = (split_heads(part, num_heads) for part in qkv.chunk(3, dim=-1))
    return join_heads(attend(query, key, value, bias=bias, mask=mask))


def attend_by_cosine(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: Tensor,
    *,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Run `attend` by the cosine of queries and keys, times `scale` (heads, 1, 1)."""
    query = unit_length(query, -1) * scale
    return attend(query, unit_length(key, -1), value, bias=bias, mask=mask, scale=1.0)


def cosine_scale(log_scale: Tensor) -> Tensor:
    """Return what cosines are multiplied by, 100 at most, from the learned logarithm.

    Source: Liu et al., Swin Transformer V2, CVPR 2022, section 3.2.
    """
    return log_scale.clamp(max=math.log(LARGEST_COSINE_SCALE)).exp()


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a bias learned per relative position.

    Source: Liu et al., Swin Transformer, ICCV 2021, section 3.2.

    Shape: windows (N, windows, tokens, channels) to the same; see `partition`.

    Args:
        channels: Width of the input and of the output.
        num_heads: Divides `channels`.
        window: Sides of the windows.
        linear_bias: Whether the linear layers have one.

    Raises:
        ValueError: `channels` is no multiple of `num_heads`.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: tuple[int, int],
        linear_bias: bool = True,
    ) -> None:
        if channels % num_heads:
            raise ValueError(f"channels ({channels}) must be a multiple of num_heads ({num_heads})")
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=linear_bias)
        self.bias = RelativePositionBias(window, num_heads)
        self.project = nn.Linear(channels, channels, bias=linear_bias)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        qkv = self.qkv(windows)
        return self.project(attend_heads(qkv, self.num_heads, bias=self.bias(), mask=mask))
