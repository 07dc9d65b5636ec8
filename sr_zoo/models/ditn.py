"""DITN: deployment-friendly image transformer network, and DITN-Real and DITN-Tiny.

The picture is unfolded once into 8x8 patches, in which channels attend to each other, and folded
once again; other transformers do so in every layer. Behind that, layers across the whole map gate
features by what a depthwise 5x5 and a dilated 7x7 see around them. Both kinds have a gated
feed-forward block.

```mermaid
flowchart LR
  x([features]) --> inner["in 8x8 patches, 4 times: channel attention, FFN"]
  inner --> enter["norm, 1x1, split"] --> context["depthwise 5x5, dilated 7x7, 1x1"] --> mul((*))
  enter --> mul --> p["1x1, scale"] --> add((+)) --> ffn["FFN; 3 times more"] --> y([features])
  inner --> add
```

Paper: Liu et al., ACM MM 2023, arXiv:2308.02794. RGB in [0, 1], no mean shift; mirrored to a
multiple of 8 inside.

The authors published the code of DITN-Real alone, which normalises by tanh and a 1x1 convolution.
DITN and DITN-Tiny are the library's reading of the paper: the same units with layer normalisation,
DITN-Tiny one of them like DITN-Real, DITN three.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    GatedDepthwiseFFN,
    LayerNorm2d,
    PixelShuffleUpsampler,
    TransformerLayer,
    attend_by_cosine,
    channels_first,
    channels_last,
    crop,
    merge,
    pad_to_multiple,
    partition,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PATCH = (8, 8)
NORM_EPS = 1e-5
EXPANSION = 2


class PatchChannelAttention(nn.Module):
    """Cosine attention among the channels of one patch; (N, C, rows, columns) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(1, 1, 1))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x.flatten(2).transpose(1, 2)).transpose(1, 2)
        # (N, 1, 1, C, pixels): one window, one head, channels are tokens
        query, key, value = qkv[:, None, None].chunk(3, dim=-2)
        out = attend_by_cosine(query, key, value, self.temperature)
        return self.project(out.reshape(x.shape))


class DilatedDepthwiseConv(nn.Conv2d):
    """A depthwise convolution with gaps between its taps; (N, channels, H, W) to the same.

    Processors have fast kernels for taps without gaps alone. The pixels that one tap after another
    meets form a picture of their own, one of dilation**2, and each is convolved without gaps.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__(
            channels,
            channels,
            kernel_size,
            padding=kernel_size // 2 * dilation,
            dilation=dilation,
            groups=channels,
        )
        self.step = dilation

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % self.step, 0, -height % self.step))
        steps = (-1, self.step)
        cells = torch.unflatten(torch.unflatten(padded, 3, steps), 2, steps)
        pictures = cells.permute(0, 3, 5, 2, 4, 1).flatten(0, 2).contiguous()  # channels last
        half = self.kernel_size[0] // 2
        out = F.conv2d(
            channels_first(pictures), self.weight, self.bias, padding=half, groups=self.groups
        )
        cells = torch.unflatten(out, 0, (-1, self.step, self.step)).permute(0, 4, 1, 5, 2, 3)
        whole = channels_first(cells.flatten(3, 4).flatten(1, 2))
        return whole[..., :height, :width]


class DilatedAttention(nn.Module):
    """Gates features by what a depthwise 5x5 and a dilated 7x7 see around them (SDA)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.context = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels),
            DilatedDepthwiseConv(channels, 7, dilation=3),
            nn.Conv2d(channels, channels, 1),
        )
        self.project = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        context, values = self.expand(x).chunk(2, dim=1)
        return self.project(values * self.context(context)) * self.scale


def _layer_norm(channels: int) -> nn.Module:
    """Return the paper's normalisation."""
    return LayerNorm2d(channels, NORM_EPS)


def _tanh_norm(channels: int) -> nn.Module:
    """Return what DITN-Real has in its place, which needs no statistics."""
    return nn.Sequential(nn.Tanh(), nn.Conv2d(channels, channels, 1))


class UnfoldingUnit(nn.Module):
    """Layers within 8x8 patches, unfolded once, then layers across the whole map (UFONE)."""

    def __init__(
        self, channels: int, inner: int, spatial: int, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()

        def layer(attention: nn.Module) -> TransformerLayer:
            ffn = GatedDepthwiseFFN(channels, EXPANSION * channels)
            return TransformerLayer(attention, ffn, norm=lambda: norm(channels))

        self.inner = nn.Sequential(*(layer(PatchChannelAttention(channels)) for _ in range(inner)))
        self.spatial = nn.Sequential(*(layer(DilatedAttention(channels)) for _ in range(spatial)))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        windows = partition(channels_last(x), PATCH)
        count = windows.shape[1]
        patches = channels_first(windows.reshape(batch * count, *PATCH, channels))
        patches = channels_last(self.inner(patches))
        windows = patches.reshape(batch, count, PATCH[0] * PATCH[1], channels)
        return self.spatial(channels_first(merge(windows, PATCH, (height, width))))


class DITN(SRNetwork):
    """A chain of unfolding units under one long skip; (N, 3, H, W) to scale times that.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_units: Unfolding units.
        num_inner: Layers within patches per unit.
        num_spatial: Layers across the map per unit.
    """

    make_norm = staticmethod(_layer_norm)

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 60,
        num_units: int = 1,
        num_inner: int = 4,
        num_spatial: int = 4,
    ) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(
                UnfoldingUnit(channels, num_inner, num_spatial, self.make_norm)
                for _ in range(num_units)
            )
        )
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_multiple(x, PATCH[0]))
        out = self.upsampler(shallow + self.body_out(self.body(shallow)))
        return crop(out, self.scale * height, self.scale * width)


class DITNReal(DITN):
    """DITN whose layers are normalised by tanh and a 1x1 convolution."""

    make_norm = staticmethod(_tanh_norm)


SPEC = ArchSpec(
    network=DITNReal,
    variants={"ditn_real": Variant(halo=58)},
    paper=Paper(
        "Unfolding Once is Enough: A Deployment-Friendly Transformer Unit for Super-Resolution",
        "ACM MM",
        2023,
        "2308.02794",
    ),
    tags=("transformer", "attention"),
    reference="yongliuy/DITN",
    reference_license="Apache-2.0",
    grid=PATCH[0],
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=DITN,
        variants={
            "ditn": Variant(halo=154, arguments={"num_units": 3}),
            "ditn_tiny": Variant(halo=58),
        },
        tags=("transformer", "attention", "reading"),
    ),
)
