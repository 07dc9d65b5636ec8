"""Group-wise multi-scale self-attention, with attention maps that later blocks may share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.reparam import as_conv
from sr_zoo.blocks.reparameterisable import Reparameterisable
from sr_zoo.blocks.window import merge, partition
from sr_zoo.blocks.window_attention import attend

# larger maps take longer to read from memory than a fused kernel takes to compute them again
LARGEST_KEPT_MAP = 64  # tokens


class _NormedProjection(nn.Sequential, Reparameterisable):
    """A 1x1 convolution and batch normalisation, which are one convolution after training."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels))
        self.in_channels = in_channels

    def fuse(self) -> nn.Conv2d:
        return as_conv(self, self.in_channels)


class _WindowGroups(nn.Module):
    """Groups of channels, each cut into windows of its own size: what both blocks share."""

    def __init__(
        self, channels: int, projected: int, window_sizes: Sequence[int], *, shifted: bool
    ) -> None:
        if not window_sizes or channels % len(window_sizes):
            raise ValueError(
                f"channels ({channels}) must be a multiple of the number of groups "
                f"({len(window_sizes)})"
            )
        if min(window_sizes) < 1:
            raise ValueError(f"window_sizes must be at least 1, got {tuple(window_sizes)}")
        super().__init__()
        self.windows = [(size, size) for size in window_sizes]
        self.shifts = [(size // 2, size // 2) if shifted else (0, 0) for size in window_sizes]
        self.project_in = _NormedProjection(channels, projected)
        self.project_out = nn.Conv2d(channels, channels, 1)

    def split(self, x: Tensor) -> list[Tensor]:
        """Project (N, channels, H, W) and cut: one (N, windows, tokens, C) per group."""
        groups = channels_last(self.project_in(x)).chunk(len(self.windows), dim=-1)
        return [
            partition(group, window, shift)
            for group, window, shift in zip(groups, self.windows, self.shifts, strict=True)
        ]

    def join(self, outputs: Sequence[Tensor], like: Tensor) -> Tensor:
        """Put windows and groups together and project; `like` has the size of the result."""
        size = (like.shape[-2], like.shape[-1])
        groups = [
            merge(output, window, size, shift)
            for output, window, shift in zip(outputs, self.windows, self.shifts, strict=True)
        ]
        return self.project_out(channels_first(torch.cat(groups, dim=-1)))


class GMSA(_WindowGroups):
    """Group-wise multi-scale self-attention: groups of channels attend in windows of several sizes.

    A 1x1 convolution and batch normalisation make queries, which are the keys too, and values. Each
    group has one head; logits are plain products, neither scaled nor biased by position. Source:
    Zhang et al., ELAN, ECCV 2022, section 3.2.

    Shifted windows roll over the picture's border without a mask, as in the authors' network:
    pixels near one border take part in attention near the opposite one.

    Shape: (N, channels, H, W) to the same; H and W multiples of every window size.

    Args:
        channels: Width of the input and of the output; a multiple of the number of groups.
        window_sizes: One per group.
        shifted: Whether windows are shifted by half their size.

    Raises:
        ValueError: `channels` is no multiple of the number of groups, or a window has no pixel.
    """

    def __init__(
        self, channels: int, window_sizes: Sequence[int] = (4, 8, 16), *, shifted: bool = False
    ) -> None:
        super().__init__(channels, 2 * channels, window_sizes, shifted=shifted)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for group in self.split(x):
            query, value = group.chunk(2, dim=-1)
            outputs.append(_attend_to_itself(query, value))
        return self.join(outputs, x)

    def with_maps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what `forward` does, and what a `SharedGMSA` needs to attend as this block did.

        For each group that is its attention map (N, windows, tokens, tokens), or, if its windows
        have more than `LARGEST_KEPT_MAP` tokens, the queries (N, windows, tokens, C).
        """
        maps, outputs = [], []
        for group in self.split(x):
            query, value = group.chunk(2, dim=-1)
            if query.shape[2] > LARGEST_KEPT_MAP:
                query = query.contiguous()  # no view that keeps the values in memory
                maps.append(query)
                outputs.append(_attend_to_itself(query, value))
            else:
                maps.append((query @ query.transpose(-2, -1)).softmax(dim=-1))
                outputs.append(maps[-1] @ value)
        return self.join(outputs, x), maps


class SharedGMSA(_WindowGroups):
    """Group-wise multi-scale self-attention by the maps of an earlier `GMSA` on the same picture.

    Only values are computed: the accelerated self-attention (ASA) of ELAN, section 3.3.

    Shape: (N, channels, H, W) and what `GMSA.with_maps` returned to (N, channels, H, W).

    Args:
        channels: Width of the input and of the output; a multiple of the number of groups.
        window_sizes: As of the `GMSA` whose maps it uses.
        shifted: As of that `GMSA`.

    Raises:
        ValueError: `channels` is no multiple of the number of groups, or a window has no pixel.
    """

    def __init__(
        self, channels: int, window_sizes: Sequence[int] = (4, 8, 16), *, shifted: bool = False
    ) -> None:
        super().__init__(channels, channels, window_sizes, shifted=shifted)

    def forward(self, x: Tensor, maps: Sequence[Tensor]) -> Tensor:
        outputs = [
            _attend_to_itself(kept, value) if rows * columns > LARGEST_KEPT_MAP else kept @ value
            for kept, value, (rows, columns) in zip(maps, self.split(x), self.windows, strict=True)
        ]
        return self.join(outputs, x)


def _attend_to_itself(query: Tensor, value: Tensor) -> Tensor:
    """Let the tokens of each window, (N, windows, tokens, C), ask each other; one head."""
    query = query.unsqueeze(2)
    return attend(query, query, value.unsqueeze(2), scale=1.0).squeeze(2)
