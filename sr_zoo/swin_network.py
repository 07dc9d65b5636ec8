"""The frame that SwinIR and networks after it put around their blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from sr_zoo.blocks import (
    MeanShift,
    channels_first,
    channels_last,
    crop,
    init_linear,
    pad_to_multiple,
)
from sr_zoo.network import SRNetwork


class SwinNetwork(SRNetwork):
    """Groups of transformer blocks under one skip; what makes pixels of features is to be added.

    Source: Liang et al., SwinIR, ICCV Workshops 2021, section 3.1.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        groups: Called with a map (N, H, W, channels) and the masks; return such a map.
        conv: Builds what ends all groups, from input and output width.
        multiple: Images are padded inside to multiples of this side.
    """

    upsampler: nn.Module

    def __init__(
        self,
        scale: int,
        channels: int,
        groups: Iterable[nn.Module],
        conv: Callable[[int, int], nn.Module],
        *,
        multiple: int = 1,
    ) -> None:
        super().__init__(scale)
        self.multiple = multiple
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.norm_in = nn.LayerNorm(channels)
        self.body = nn.ModuleList(groups)
        self.norm_out = nn.LayerNorm(channels)
        self.body_out = conv(channels, channels)
        self.apply(init_linear)

    @abstractmethod
    def masks(self, x: Tensor) -> Sequence[Tensor]:
        """Return what keeps the pixels of shifted windows apart in a map (N, H, W, channels)."""

    def embedded(self, shallow: Tensor) -> Tensor:
        """Return what the groups are given of the first features, (N, channels, H, W)."""
        return shallow

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(self.mean_shift(pad_to_multiple(x, self.multiple)))
        deep = self.norm_in(channels_last(self.embedded(shallow)))
        masks = self.masks(deep)
        for group in self.body:
            deep = group(deep, *masks)
        deep = shallow + self.body_out(channels_first(self.norm_out(deep)))
        out = self.mean_shift.restore(self.upsampler(deep))
        return crop(out, self.scale * height, self.scale * width)
