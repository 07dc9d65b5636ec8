"""Windows: cutting a map, what a shift must keep apart, and a bias by position.

Feature maps are channels-last here, (N, H, W, C), H and W multiples of the window's sides; windows
and shifts are (vertical, horizontal) in cells of the map. A shifted layer takes its windows from
the map rolled up and to the left; `shift_mask` keeps apart what the roll brought together. A
network builds that mask once per forward pass and hands it to all layers of the same window.
None is kept from pass to pass: building one is cheap beside a pass, and it takes as much memory as
the features or more.
"""

import math

import torch
from torch import Tensor, nn

from sr_zoo.blocks.constants import Constants

MASKED = -100.0  # Swin's; large enough that a masked key gets no weight in float32
MOST_TOKENS = 4096  # of a window whose offsets are numbered, which takes 128 MB


def partition(x: Tensor, window: tuple[int, int], shift: tuple[int, int] = (0, 0)) -> Tensor:
    """Cut a map into windows, row by row: (N, H, W, C) to (N, windows, tokens, C).

    Raises:
        ValueError: H or W is no multiple of the window's side.
    """
    batch, height, width, channels = x.shape
    check_windows((height, width), window)
    if any(shift):
        x = torch.roll(x, (-shift[0], -shift[1]), (1, 2))
    rows, columns = window
    cells = x.reshape(batch, height // rows, rows, width // columns, columns, channels)
    return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def check_windows(size: tuple[int, int], window: tuple[int, int]) -> None:
    """Refuse a map of `size` (H, W) that is no whole number of windows."""
    if torch.compiler.is_compiling():  # sizes are unknown
        return
    if size[0] % window[0] or size[1] % window[1]:
        raise ValueError(
            f"a map of {size[0]} x {size[1]} cells cannot be cut into {window[0]} x {window[1]}; "
            "pad it, as by pad_to_multiple"
        )


def merge(
    windows: Tensor, window: tuple[int, int], size: tuple[int, int], shift: tuple[int, int] = (0, 0)
) -> Tensor:
    """Put the windows of a map of `size` (H, W) together again; the inverse of `partition`."""
    rows, columns = window
    counts = (size[0] // rows, size[1] // columns)
    cells = torch.unflatten(torch.unflatten(windows, 2, window), 1, counts)
    x = cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return torch.roll(x, shift, (1, 2)) if any(shift) else x


def shift_mask(
    like: Tensor, window: tuple[int, int], shift: tuple[int, int], *, key_stride: int = 1
) -> Tensor:
    """Build what, added to attention logits, lets only neighbours in the picture see each other.

    Source: Liu et al., Swin Transformer, ICCV 2021, section 3.2.

    Args:
        like: (N, H, W, C); gives size, type and device.
        window: Sides of a window.
        shift: By how much the map is rolled.
        key_stride: Each key stands for a square of this many cells per side (permuted attention).

    Returns:
        (windows, tokens, tokens / key_stride**2): 0 or -100.
    """
    rows, columns = (
        _regions(like.shape[axis + 1], window[axis], shift[axis], like.device) for axis in (0, 1)
    )
    labels = (3 * rows[:, None] + columns)[None, ..., None]
    queries = partition(labels, window)[0]  # (windows, tokens, 1)
    last = key_stride - 1  # of a square's cells; where a border runs through it, that one counts
    strided = labels[:, last::key_stride, last::key_stride]
    keys = partition(strided, (window[0] // key_stride, window[1] // key_stride))[0]
    return (queries != keys.transpose(-2, -1)).to(like.dtype) * MASKED


def _regions(length: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Number the stretches of a rolled axis that may mix: 0, then 1 and 2 in the last window."""
    cells = torch.arange(length, device=device)
    return (cells >= length - window).long() + (cells >= length - shift).long()


def relative_position_index(window: tuple[int, int]) -> Tensor:
    """Number the offsets between two tokens of a window, query minus key.

    Returns:
        (tokens, tokens), int64, from 0 to (2 * rows - 1) * (2 * columns - 1) - 1, row by row.

    Raises:
        ValueError: The window is empty, or so large that the table would take gigabytes.
    """
    if min(window) < 1 or math.prod(window) > MOST_TOKENS:
        raise ValueError(f"windows hold 1 to {MOST_TOKENS} tokens, got {window}")
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in window), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    vertical = rows[:, None] - rows + window[0] - 1
    horizontal = columns[:, None] - columns + window[1] - 1
    return vertical * (2 * window[1] - 1) + horizontal


class RelativePositionBias(Constants):
    """A learned logit per head and offset between two tokens of a window.

    Called without arguments; returns (heads, tokens, tokens).

    Args:
        window: Sides of the window.
        num_heads: One bias for each.
    """

    index: Tensor

    def __init__(self, window: tuple[int, int], num_heads: int) -> None:
        super().__init__()
        offsets = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.table = nn.Parameter(torch.empty(offsets, num_heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.register_constant("index", relative_position_index, window)

    def forward(self) -> Tensor:
        return self.table[self.index].permute(2, 0, 1)
