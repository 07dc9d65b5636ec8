"""A position bias for attention in windows that a small network computes."""

import torch
from torch import Tensor, nn

from sr_zoo.blocks.constants import Constants
from sr_zoo.blocks.window import relative_position_index

REDUCTION = 16


class DynamicPositionBias(Constants):
    """A logit per head and offset between two tokens of a window, computed from the offset.

    Source: Wang et al., CrossFormer, ICLR 2022, section 3.3. Called without arguments; returns
    (heads, tokens, tokens).

    Args:
        channels: Width that sets the one of the layers, a sixteenth.
        num_heads: One bias for each.
        window: Sides of the window.

    Raises:
        ValueError: `channels` is less than 16.
    """

    offsets: Tensor
    index: Tensor

    def __init__(self, channels: int, num_heads: int, window: tuple[int, int]) -> None:
        if channels < REDUCTION:
            raise ValueError(f"channels must be at least {REDUCTION}, got {channels}")
        super().__init__()
        hidden = channels // REDUCTION
        self.register_constant("offsets", _offsets, window)
        self.register_constant("index", relative_position_index, window)
        self.embed = nn.Linear(2, hidden)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, width))
                for width in (hidden, hidden, num_heads)
            )
        )

    def forward(self) -> Tensor:
        return self.layers(self.embed(self.offsets))[self.index].permute(2, 0, 1)


def _offsets(window: tuple[int, int]) -> Tensor:
    return torch.cartesian_prod(*(torch.arange(1.0 - side, side) for side in window))
