"""Omni self-attention: pixels attend to pixels, then channels to channels, in the same groups."""

import torch
from torch import Tensor, nn

from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.ffn import GatedDepthwiseFFN
from sr_zoo.blocks.global_statistics import attend_channels
from sr_zoo.blocks.norm import LayerNorm2d
from sr_zoo.blocks.separable import BSConv, separable_parts
from sr_zoo.blocks.window import check_windows, merge, partition
from sr_zoo.blocks.window_attention import WindowAttention, attend_by_cosine, split_heads

NORM_EPS = 1e-6


class WindowChannelAttention(nn.Module):
    """Self-attention between the channels of a head, over the pixels of each window.

    The logits are cosines times a learned temperature per head; queries, keys and values see their
    neighbours through a depthwise 3x3. Source: Zamir et al., Restormer, CVPR 2022, section 3.1,
    which takes the whole picture for its window.

    Shape: (N, channels, H, W) to the same; H and W multiples of `window`.

    Args:
        channels: Width of the input and of the output; a multiple of `num_heads`.
        num_heads: Channels see those of their own head only.
        window: Side of a window.
    """

    def __init__(self, channels: int, num_heads: int, *, window: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = (window, window)
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = BSConv(channels, 3 * channels, 3, padding=1, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[-2], x.shape[-1])
        query, key, value = (
            split_heads(self.split(channels_last(part)), self.num_heads).transpose(-2, -1)
            for part in separable_parts(x, self.qkv, 3)
        )
        attended = self.attend(query, key, value, size).flatten(2, 3).transpose(-2, -1)
        return self.project(channels_first(self.join(attended, size)))

    def split(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to groups of pixels (N, groups, tokens, C)."""
        return partition(x, self.window)

    def join(self, groups: Tensor, size: tuple[int, int]) -> Tensor:
        """Undo `split`."""
        return merge(groups, self.window, size)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, size: tuple[int, int]) -> Tensor:
        """Let the channels of each group and head, (N, groups, heads, d, tokens), ask each other.

        `size` is the map's.
        """
        del size
        return attend_by_cosine(query, key, value, self.temperature)


class GridChannelAttention(WindowChannelAttention):
    """As in windows, but a group is the pixels at one position of every window."""

    def split(self, x: Tensor) -> Tensor:
        return partition(x, self.window).transpose(1, 2)

    def join(self, groups: Tensor, size: tuple[int, int]) -> Tensor:
        return merge(groups.transpose(1, 2), self.window, size)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, size: tuple[int, int]) -> Tensor:
        rows, columns = self.window
        cells = (size[0] // rows, size[1] // columns)
        query, key, value = (torch.unflatten(part, -1, cells) for part in (query, key, value))
        return attend_channels(query, key, value, self.temperature, stride=rows).flatten(-2)


class OSA(nn.Module):
    """Omni self-attention in windows: what pixels, then what channels say to each other.

    Self-attention of the pixels of each window with a learned position bias, a gated feed-forward
    block, self-attention of the channels over the same window, and another feed-forward block; each
    normalised before and skipped around. Source: Wang et al., Omni-SR, CVPR 2023, section 3.2; this
    form is its meso scale, `GridOSA` its global one.

    Shape: (N, channels, H, W) to the same; H and W multiples of `window`.

    Args:
        channels: Width of the input and of the output; a multiple of `num_heads`.
        num_heads: Of both attentions.
        window: Side of a window.

    Raises:
        ValueError: `channels` is no multiple of `num_heads`, or `window` is no window's side.
    """

    def __init__(self, channels: int, num_heads: int, *, window: int = 8) -> None:
        super().__init__()
        self.window = window
        self.norm_spatial = nn.LayerNorm(channels)
        self.spatial = WindowAttention(
            channels, num_heads, window=(window, window), linear_bias=False
        )
        self.norm_spatial_ffn = LayerNorm2d(channels, NORM_EPS)
        self.spatial_ffn = GatedDepthwiseFFN(channels, channels)
        self.norm_channel = LayerNorm2d(channels, NORM_EPS)
        self.channel = self.channel_attention(channels, num_heads)
        self.norm_channel_ffn = LayerNorm2d(channels, NORM_EPS)
        self.channel_ffn = GatedDepthwiseFFN(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + channels_first(self.attend(self.norm_spatial(channels_last(x))))
        x = x + self.spatial_ffn(self.norm_spatial_ffn(x))
        x = x + self.channel(self.norm_channel(x))
        return x + self.channel_ffn(self.norm_channel_ffn(x))

    def channel_attention(self, channels: int, num_heads: int) -> WindowChannelAttention:
        """Build the second attention."""
        return WindowChannelAttention(channels, num_heads, window=self.window)

    def attend(self, x: Tensor) -> Tensor:
        """Let the pixels of each group attend to each other: (N, H, W, C) to the same."""
        window = (self.window, self.window)
        return merge(self.spatial(partition(x, window)), window, (x.shape[1], x.shape[2]))


class GridOSA(OSA):
    """Omni self-attention over a grid: as `OSA`, but groups reach over the whole picture.

    `window` pixels per axis, equally spaced over the whole picture, attend to each other; channels
    attend over the pixels at one position of every window.
    """

    def channel_attention(self, channels: int, num_heads: int) -> WindowChannelAttention:
        return GridChannelAttention(channels, num_heads, window=self.window)

    def attend(self, x: Tensor) -> Tensor:
        size = (x.shape[1], x.shape[2])
        check_windows(size, (self.window, self.window))
        cell = (size[0] // self.window, size[1] // self.window)
        tokens = partition(x, cell).transpose(1, 2)  # one pixel from each of window**2 cells
        return merge(self.spatial(tokens).transpose(1, 2), cell, size)
