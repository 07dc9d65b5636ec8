"""Transformer blocks around attention in windows; feature maps are channels-last, (N, H, W, C)."""

from collections.abc import Iterable

from torch import Tensor, nn

from sr_zoo.blocks.window import merge, partition


class SwinBlock(nn.Module):
    """Attention in windows and a feed-forward block, each normalised before and skipped around.

    Source: Liu et al., Swin Transformer, ICCV 2021, section 3.2.

    Shape: (N, H, W, channels) to the same; H and W multiples of the window's sides.

    Args:
        channels: Width of the input and of the output.
        attention: Called with windows (N, windows, tokens, channels) and a mask or None.
        ffn: Called with a map (N, H, W, channels).
        window: Sides of the windows.
        shift: By how much the map is rolled first; the mask is for blocks where that is not zero.
    """

    def __init__(
        self,
        channels: int,
        attention: nn.Module,
        ffn: nn.Module,
        *,
        window: tuple[int, int],
        shift: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(channels)
        self.attention = attention
        self.norm_ffn = nn.LayerNorm(channels)
        self.ffn = ffn
        self.window = window
        self.shift = shift

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attend(self.norm_attention(x), mask)
        return x + self.ffn(self.norm_ffn(x))

    def attend(self, x: Tensor, mask: Tensor) -> Tensor:
        """Run the attention on a map cut into windows."""
        windows = partition(x, self.window, self.shift)
        windows = self.attention(windows, mask if any(self.shift) else None)
        return merge(windows, self.window, (x.shape[1], x.shape[2]), self.shift)


class ResidualSwinGroup(nn.Module):
    """Blocks and a convolution under one skip: the RSTB of SwinIR.

    Source: Liang et al., SwinIR, ICCV Workshops 2021, section 3.2.

    Shape: a map (N, H, W, C) and a mask to (N, H, W, C).

    Args:
        blocks: Called with a map and the mask.
        conv: On (N, C, H, W), keeps the size.
    """

    def __init__(self, blocks: Iterable[nn.Module], conv: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.conv = conv

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        deep = x
        for block in self.blocks:
            deep = block(deep, mask)
        return x + channels_last(self.conv(channels_first(deep)))


def channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """(N, H, W, C) to (N, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def init_linear(module: nn.Module) -> None:
    """Fill a linear layer as Swin does, for `nn.Module.apply`: normal, std 0.02; no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
