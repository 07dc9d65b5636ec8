"""SwinIR: image restoration using Swin Transformer, lightweight and classical super-resolution.

Pixels attend to each other in 8x8 windows, which every second block shifts by half, so that
information crosses their borders. Blocks stand in groups that end in a 3x3 convolution, with a skip
around each group and one around all of them. The classical form is three times as wide and enlarges
in stages; the lightweight one goes from features to pixels in one step.

```mermaid
flowchart LR
  x([features]) --> n1["norm"] --> att["attention in 8x8 windows"] --> a1((+))
  x --> a1 --> n2["norm"] --> mlp["MLP"] --> a2((+)) --> y([features])
  a1 --> a2
  bias["learned bias per offset"] --> att
```

Paper: Liang et al., ICCV Workshops 2021, arXiv:2108.10257. RGB in [0, 1], mean-shifted inside.

The authors' test script mirrors images that need no padding by a whole window, edge pixels
repeated; here as in their network's own forward, an image is mirrored only as far as it takes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from sr_zoo.blocks import (
    MLP,
    MeanShift,
    PixelShuffleUpsampler,
    ResidualSwinGroup,
    StagedUpsampler,
    SwinBlock,
    WindowAttention,
    channels_first,
    channels_last,
    crop,
    init_linear,
    pad_to_multiple,
    shift_mask,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

WINDOW = 8


class SwinIR(SRNetwork):
    """Groups of window attention under one skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        depths: Transformer blocks in each group; every second one shifts its windows by half.
        num_heads: In each block.
        expansion: Of the feed-forward blocks.
        upsampler_channels: Width between upscaled features and pixels; None to go from features
            to pixels in one step.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 60,
        depths: Sequence[int] = (6, 6, 6, 6),
        num_heads: int = 6,
        expansion: int = 2,
        upsampler_channels: int | None = None,
    ) -> None:
        super().__init__(scale)
        window = (WINDOW, WINDOW)
        self.window, self.shift = window, (WINDOW // 2, WINDOW // 2)

        def block(index: int) -> SwinBlock:
            attention = WindowAttention(channels, num_heads, window=window)
            ffn = MLP(channels, expansion * channels)
            shift = self.shift if index % 2 else (0, 0)
            return SwinBlock(channels, attention, ffn, window=window, shift=shift)

        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.norm_in = nn.LayerNorm(channels)
        self.body = nn.ModuleList(
            ResidualSwinGroup(map(block, range(depth)), nn.Conv2d(channels, channels, 3, padding=1))
            for depth in depths
        )
        self.norm_out = nn.LayerNorm(channels)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        if upsampler_channels is None:
            self.before_upsampler: nn.Module = nn.Identity()
            # one stage, so that its name is that of the first of several
            self.upsampler = nn.Sequential(PixelShuffleUpsampler(channels, 3, scale))
            self.tail: nn.Module = nn.Identity()
        else:
            self.before_upsampler = nn.Sequential(
                nn.Conv2d(channels, upsampler_channels, 3, padding=1), nn.LeakyReLU(0.01)
            )
            self.upsampler = StagedUpsampler(upsampler_channels, scale)
            self.tail = nn.Conv2d(upsampler_channels, 3, 3, padding=1)
        self.apply(init_linear)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(self.mean_shift(pad_to_multiple(x, WINDOW)))
        deep = self.norm_in(channels_last(shallow))
        mask = shift_mask(deep, self.window, self.shift)
        for group in self.body:
            deep = group(deep, mask)
        deep = shallow + self.body_out(channels_first(self.norm_out(deep)))
        out = self.tail(self.upsampler(self.before_upsampler(deep)))
        return crop(self.mean_shift.restore(out), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=SwinIR,
    variants={
        "swinir_light": Variant(halo=103),
        "swinir": Variant(
            halo=153,
            scales=(2, 3, 4, 8),
            arguments={"channels": 180, "depths": (6,) * 6, "upsampler_channels": 64},
        ),
    },
    paper=Paper(
        "SwinIR: Image Restoration Using Swin Transformer",
        "ICCV Workshops",
        2021,
        "2108.10257",
    ),
    tags=("transformer",),
    reference="JingyunLiang/SwinIR",
    reference_license="Apache-2.0",
    grid=WINDOW,
)
