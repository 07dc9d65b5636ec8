"""Averages and comparisons over the whole image, also where a network sees a tile of it.

On a whole image they are a plain mean, variance and matrix product. Under a `TileView` they give
what is known of the whole image so far.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sr_zoo.blocks.norm import SMALLEST_LENGTH, unit_length
from sr_zoo.blocks.strips import ComputedMap, may_cut, rows_of, whole_of
from sr_zoo.blocks.tile_view import current_view, exact

_COPIED = (torch.bfloat16, torch.float16)  # to float32, by sums on the CPU


def global_mean(x: Tensor | ComputedMap, *, stride: int = 1) -> Tensor:
    """Average a feature map over the whole image.

    Args:
        x: (N, C, H, W). A tile needs all of a `ComputedMap`.
        stride: LR pixels per cell of `x`.

    Returns:
        (N, C, 1, 1).
    """
    if view := current_view():
        return view.mean(whole_of(x), stride)
    if may_cut(x) and (isinstance(x, ComputedMap) or x.dtype in _COPIED):
        return _mean_of_parts(x)
    return whole_of(x).mean((-2, -1), keepdim=True)


def _mean_of_parts(
    x: Tensor | ComputedMap, run: Callable[[Tensor], Tensor] = lambda part: part
) -> Tensor:
    """Average part by part what `run` makes of a map: neither that nor a copy exists as a whole."""
    sums = [run(part).sum((-2, -1), keepdim=True, dtype=_precise(x)) for part in rows_of(x)]
    return (torch.stack(sums).sum(0) / (x.shape[-2] * x.shape[-1])).to(x.dtype)


def _precise(x: Tensor | ComputedMap) -> torch.dtype:
    return torch.float32 if x.dtype in _COPIED else x.dtype


def global_cosine(a: Tensor, b: Tensor, *, stride: int = 1) -> Tensor:
    """Compare channels over the whole image: the cosine of each of `a` with each of `b`.

    That is the logit of channel attention (Zamir et al., Restormer, CVPR 2022, section 3.1), before
    its temperature. A channel of zeros has a cosine of zero with all others.

    Args:
        a: (N, ..., C, H, W); further axes, such as heads, stay apart.
        b: (N, ..., D, H, W).
        stride: LR pixels per cell of both.

    Returns:
        (N, ..., C, D), from -1 to 1.
    """
    view = current_view()
    if view is not None:
        both = exact(view.core(torch.cat([a, b], dim=-3), stride).flatten(-2))
        products = view.average(both @ both.transpose(-2, -1), both.shape[-1])
        if products is not None:
            lengths = products.diagonal(dim1=-2, dim2=-1).sqrt().clamp_min(SMALLEST_LENGTH)
            cosines = products / (lengths[..., :, None] * lengths[..., None, :])
            return cosines[..., : a.shape[-3], a.shape[-3] :].to(a)
    return unit_length(a.flatten(-2), -1) @ unit_length(b.flatten(-2), -1).transpose(-2, -1)


def attend_channels(
    query: Tensor, key: Tensor, value: Tensor, temperature: Tensor, *, stride: int = 1
) -> Tensor:
    """Let the channels of each head attend to each other by their cosine over the whole image.

    Source: Zamir et al., Restormer, CVPR 2022, section 3.1.

    Args:
        query: (N, ..., heads, d, H, W); further axes stay apart.
        key: As `query`.
        value: As `query`.
        temperature: Factor of the cosines before the softmax, (heads, 1, 1).
        stride: LR pixels per cell of the maps.

    Returns:
        As `query`.
    """
    # not scaled_dot_product_attention: a tile has the logits of the whole image; and its kernels
    # are for many short tokens, while channels are few, each as long as the image has pixels
    weights = (global_cosine(query, key, stride=stride) * temperature).softmax(dim=-1)
    return torch.unflatten(weights @ value.flatten(-2), -1, value.shape[-2:])


def global_size(x: Tensor) -> tuple[int, int]:
    """Return height and width of the whole image that a feature map at LR size belongs to.

    A side that the network padded counts with its padding.
    """
    height, width = x.shape[-2], x.shape[-1]
    view = current_view()
    return (height, width) if view is None else (view.length(0, height), view.length(1, width))


def global_variance(x: Tensor, *, stride: int = 1) -> Tensor:
    """Variance of a feature map over the whole image, that of a whole population.

    In a tile both moments are gathered at once, in double precision, so that it takes no more
    passes over the image than an average.

    Args:
        x: (N, C, H, W).
        stride: LR pixels per cell of `x`.

    Returns:
        (N, C, 1, 1).
    """
    view = current_view()
    if view is None:
        if torch.jit.is_tracing():  # type: ignore[no-untyped-call, attr-defined] # ncnn has no var
            return (x - x.mean((-2, -1), keepdim=True)).square().mean((-2, -1), keepdim=True)
        if may_cut(x):  # torch's takes ten times as long on channels_last memory
            mean = x.mean((-2, -1), keepdim=True, dtype=_precise(x))
            return _mean_of_parts(x, lambda part: (part - mean).square_())
        return x.var((-2, -1), correction=0, keepdim=True)
    values = exact(x)
    mean, square = view.mean(torch.cat([values, values.square()], dim=1), stride).chunk(2, dim=1)
    return (square - mean.square()).to(x)
