"""From features at LR size to pixels at HR size."""

from collections.abc import Callable
from functools import reduce
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.hooked import hooked_weight
from sr_zoo.blocks.reparam import new_conv
from sr_zoo.blocks.reparameterisable import Reparameterisable
from sr_zoo.blocks.strips import in_strips

LEAKY_SLOPE = 0.01  # where the width narrows before stages
NEAREST_SLOPE = 0.2  # of ESRGAN's
STAGES_REACH = 2  # rows: 1 + 1/2 + 1/4 ... with shuffles, 1/2 + 1/4 ... with repetition


class PixelShuffleUpsampler(nn.Sequential):
    """One convolution to `out_channels` * scale**2 channels, rearranged into pixels.

    Source: Shi et al., CVPR 2016 (ESPCN), the sub-pixel convolution.

    Shape: (N, in_channels, H, W) to (N, out_channels, scale*H, scale*W).

    Args:
        in_channels: Width of the input.
        out_channels: 3 for RGB.
        scale: Upscaling factor.
        kernel_size: Of the convolution; odd, its padding keeps the size.
        bias: Whether the convolution has one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int,
        *,
        kernel_size: int = 3,
        bias: bool = True,
    ) -> None:
        width = out_channels * scale**2
        super().__init__(
            nn.Conv2d(in_channels, width, kernel_size, padding=kernel_size // 2, bias=bias),
            nn.PixelShuffle(scale),
        )


class TransposedUpsampler(nn.ConvTranspose2d, Reparameterisable):
    """A transposed convolution to pixels.

    Source: Dong et al., FSRCNN, ECCV 2016. It fuses to a convolution and a pixel shuffle: more
    multiplications, some by zero, in less time, and with the same rounding at every place of an
    image and in images of any size.

    Shape: (N, in_channels, H, W) to (N, out_channels, scale*H, scale*W).

    Args:
        in_channels: Width of the input.
        out_channels: 3 for RGB.
        scale: Upscaling factor.
        kernel_size: Side of the square that an LR pixel spreads over.
        padding: Rows and columns cut off above and to the left.

    Raises:
        ValueError: The size that comes out is not `scale` times the one that goes in.
    """

    def __init__(
        self, in_channels: int, out_channels: int, scale: int, kernel_size: int, *, padding: int
    ) -> None:
        missing = scale - kernel_size + 2 * padding
        if padding < 0 or not 0 <= missing < scale:
            raise ValueError(
                f"padding {padding} of a kernel of {kernel_size} does not enlarge by {scale}"
            )
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=scale,
            padding=padding,
            output_padding=missing,
        )

    def fuse(self) -> nn.Sequential:
        scale, size, padding = self.stride[0], self.kernel_size[0], int(self.padding[0])
        # how many LR pixels away one may be whose square reaches a pixel, on either side
        reach = max((size - 1 - padding) // scale, (padding + scale - 1) // scale)
        side = 2 * reach + 1
        before = scale * reach - padding
        after = scale * side - size - before
        # pixel p of the HR cell of LR pixel 0 takes element padding + p + scale * d from pixel -d
        cells = F.pad(hooked_weight(self).detach(), (before, after) * 2)
        cells = cells.unflatten(-1, (side, scale)).unflatten(-3, (side, scale)).flip(2, 4)
        kernels = cells.permute(1, 3, 5, 0, 2, 4).reshape(-1, self.in_channels, side, side)
        bias = None if self.bias is None else self.bias.repeat_interleave(scale**2)
        return nn.Sequential(new_conv(kernels, bias, like=self.weight), nn.PixelShuffle(scale))


class StagedUpsampler(nn.Sequential):
    """Features to larger features, one pixel shuffle by 3 or as many by 2 as it takes.

    The width stays; a last convolution to pixels is the network's own. Source: Lim et al., EDSR,
    CVPRW 2017; CARN (Ahn et al., ECCV 2018) puts an activation before each shuffle.

    Shape: (N, channels, H, W) to (N, channels, scale*H, scale*W).

    Args:
        channels: Width of the input and of the output.
        scale: Upscaling factor; 1, 3 or a power of 2.
        kernel_size: Of each stage's convolution; odd.
        conv: Builds each stage's convolution; called like `nn.Conv2d`.
        act: Builds what lies between a stage's convolution and its shuffle.

    Raises:
        ValueError: `scale` is neither 3 nor a power of 2.
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        kernel_size: int = 3,
        conv: Callable[..., nn.Module] = nn.Conv2d,
        act: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
        if prod(factors) != scale:
            raise ValueError(f"scale must be 3 or a power of 2, got {scale}")
        super().__init__(
            *(
                nn.Sequential(
                    conv(channels, channels * factor**2, kernel_size, padding=kernel_size // 2),
                    act(),
                    nn.PixelShuffle(factor),
                )
                for factor in factors
            )
        )


def run_stages(
    x: Tensor, *layers: Callable[[Tensor], Tensor], scale: int, reach: int = 0
) -> Tensor:
    """Run an upsampler that works in stages and the layers after it, one after another.

    Strip by strip where that saves time and memory: these maps are the largest of most networks.

    Shape: (N, channels, H, W) to (N, out_channels, scale*H, scale*W).

    Args:
        x: Features at LR size.
        *layers: The upsampler, with kernels of 3 at most, and layers to pixels, of which two at
            most see the pixels around.
        scale: Upscaling factor.
        reach: LR rows up and down that layers before the upsampler see.
    """
    # maps grow by the square of the scale, but lower strips overlap more
    return in_strips(
        lambda strip: reduce(lambda features, layer: layer(features), layers, strip),
        x,
        reach=reach + STAGES_REACH,
        scale=scale,
        inflation=scale,
    )


class NarrowingUpsampler(nn.Sequential):
    """Features to pixels by way of a smaller width, which is enlarged in stages.

    Strip by strip where that saves time and memory.

    Source: Liang et al., SwinIR, ICCV Workshops 2021, the classical form, and networks after it.

    Shape: (N, in_channels, H, W) to (N, 3, scale*H, scale*W).

    Args:
        in_channels: Width of the input.
        channels: Width of the stages.
        scale: Upscaling factor; 1, 3 or a power of 2.

    Raises:
        ValueError: `scale` is neither 3 nor a power of 2.
    """

    def __init__(self, in_channels: int, channels: int, scale: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, 3, padding=1),
            nn.LeakyReLU(LEAKY_SLOPE),
            StagedUpsampler(channels, scale),
            nn.Conv2d(channels, 3, 3, padding=1),
        )
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return run_stages(x, super().forward, scale=self.scale, reach=1)


class NearestUpsampler(nn.Sequential):
    """Features to pixels, enlarged by repetition: each stage doubles the size and convolves.

    Two convolutions at HR size follow. Strip by strip where that saves time and memory.

    Source: Wang et al., ESRGAN, ECCV Workshops 2018, and SwinIR's forms for real photographs.

    Shape: (N, channels, H, W) to (N, 3, scale*H, scale*W).

    Args:
        channels: Width of the input and of all layers but the last.
        scale: Upscaling factor; a power of 2.

    Raises:
        ValueError: `scale` is no power of 2.
    """

    def __init__(self, channels: int, scale: int) -> None:
        if scale.bit_count() != 1:
            raise ValueError(f"scale must be a power of 2, got {scale}")
        stages = (
            nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.LeakyReLU(NEAREST_SLOPE),
            )
            for _ in range(scale.bit_length() - 1)
        )
        super().__init__(
            nn.Sequential(*stages),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(NEAREST_SLOPE),
            nn.Conv2d(channels, 3, 3, padding=1),
        )
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return run_stages(x, super().forward, scale=self.scale)


def repeat_channels(x: Tensor, times: int) -> Tensor:
    """Repeat each channel `times` times in a row, for a pixel shuffle to make a square of each.

    Shape: (N, C, H, W) to (N, times*C, H, W).
    """
    # as fast as repeat_interleave, which not every exported format has
    return torch.cat([channel for channel in x.split(1, dim=1) for _ in range(times)], dim=1)
