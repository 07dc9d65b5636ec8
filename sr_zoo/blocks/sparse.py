"""Convolutions that compute chosen pixels only, and the choice of a share of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

ROWS = 4096  # pixels gathered at a time: their patches stay in the cache


def highest(scores: Tensor, share: float) -> Tensor:
    """Return where scores are highest, as booleans: at most this share of all places."""
    best = scores.flatten().topk(int(share * scores.numel())).indices
    chosen = torch.zeros_like(scores, dtype=torch.bool).flatten()
    return chosen.index_fill(0, best, True).view_as(scores)


def masked_conv3x3(
    x: Tensor, weight: Tensor, chosen: Tensor, dense_in: Tensor, dense_out: Tensor
) -> tuple[Tensor, Tensor]:
    """Convolve, then ReLU: at chosen pixels all channels, elsewhere dense ones from dense ones.

    Channels that are not dense are zero outside the chosen pixels, in `x` and in the result.

    Args:
        x: (1, C, H, W); quickest in channels-last memory.
        weight: (O, C, 3, 3).
        chosen: Indices into the H*W pixels, row by row.
        dense_in: Indices of the input channels that count everywhere.
        dense_out: Indices of the output channels that are wanted everywhere.

    Returns:
        (1, O, H, W), channels last, and what it holds at the chosen pixels, (len(chosen), O).
    """
    _, channels, height, width = x.shape
    weight = weight.to(x.dtype)  # which autocast chose
    out = x.new_zeros(height * width, weight.shape[0])
    if len(dense_in) and len(dense_out):
        inputs = x if len(dense_in) == channels else x[:, dense_in]
        sub = weight[dense_out][:, dense_in]
        everywhere = torch.relu_(F.conv2d(inputs, sub, padding=1))
        out[:, dense_out] = everywhere[0].flatten(1).t()
    at_chosen = _gathered_conv3x3(x, weight, chosen)
    out[chosen] = at_chosen
    return out.view(1, height, width, -1).permute(0, 3, 1, 2), at_chosen


def _gathered_conv3x3(x: Tensor, weight: Tensor, chosen: Tensor) -> Tensor:
    channels, width = x.shape[1], x.shape[3]
    padded = F.pad(x[0].permute(1, 2, 0), (0, 0, 1, 1, 1, 1)).contiguous()
    row = width + 2
    # what lies under a row of the kernel is contiguous, so a patch is three pieces to copy
    pieces = padded.as_strided((padded.numel() // channels - 2, 3 * channels), (channels, 1))
    corner = chosen // width * row + chosen % width  # top left of each patch
    offsets = torch.arange(3, device=x.device) * row
    kernel = weight.permute(2, 3, 1, 0).reshape(9 * channels, -1).contiguous()
    out = x.new_empty(len(chosen), weight.shape[0])
    for start in range(0, len(chosen), ROWS):
        rows = slice(start, min(start + ROWS, len(chosen)))
        index = (corner[rows, None] + offsets).flatten()
        patches = pieces.index_select(0, index).view(-1, 9 * channels)
        torch.mm(patches, kernel, out=out[rows])
    return out.relu_()
