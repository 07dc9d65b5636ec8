"""Transformer blocks around attention in windows; feature maps are channels-last, (N, H, W, C)."""

from collections.abc import Iterable
from functools import partial

from torch import Tensor, nn

from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.ffn import TransformerLayer
from sr_zoo.blocks.window import merge, partition


class SwinBlock(TransformerLayer):
    """A transformer layer whose attention sees windows.

    Source: Liu et al., Swin Transformer, ICCV 2021, section 3.2.

    Shape: (N, H, W, channels) and a mask to (N, H, W, channels); H and W multiples of the window's
    sides.

    Args:
        channels: Width of the input and of the output.
        attention: Called with windows (N, windows, tokens, channels), and the mask if shifted.
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
        super().__init__(attention, ffn, norm=partial(nn.LayerNorm, channels))
        self.window = window
        self.shift = shift

    def attend(self, x: Tensor, *masks: Tensor) -> Tensor:
        """Run the attention on a map cut into windows."""
        windows = partition(x, self.window, self.shift)
        windows = self.attention(windows, *masks) if any(self.shift) else self.attention(windows)
        return merge(windows, self.window, (x.shape[1], x.shape[2]), self.shift)


class ResidualSwinGroup(nn.Module):
    """Blocks and a convolution under one skip: the RSTB of SwinIR.

    Source: Liang et al., SwinIR, ICCV Workshops 2021, section 3.2.

    Shape: a map (N, H, W, C) and masks to (N, H, W, C).

    Args:
        blocks: Called with a map and the masks.
        conv: On (N, C, H, W), keeps the size.
    """

    def __init__(self, blocks: Iterable[nn.Module], conv: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.conv = conv

    def forward(self, x: Tensor, *masks: Tensor) -> Tensor:
        deep = x
        for block in self.blocks:
            deep = block(deep, *masks)
        return x + channels_last(self.conv(channels_first(deep)))


def init_linear(module: nn.Module) -> None:
    """Fill a linear layer as Swin does, for `nn.Module.apply`: normal, std 0.02; no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
