"""DGSR: super-resolution on a dynamic graph, the library's reading of a title.

Every block builds a graph anew: in windows of 16x16 pixels each pixel is linked to those whose
features are most similar to its own, and takes from them a sum of messages weighted by similarity
and place. A convolution mixer follows, a large depthwise kernel over the pixels and 1x1
convolutions over the channels. A long skip around all blocks and one pixel shuffle finish the
picture.

```mermaid
flowchart LR
    x[image] --> h[3x3] --> b[8 blocks] --> o[3x3] --> s((sum))
    h --> s --> u[pixel shuffle] --> y[output]
    subgraph block
        f[features] --> n1[norm] --> g[graph of similar pixels] --> m[messages] --> a((sum))
        f --> a --> d[depthwise 7x7] --> c((sum))
        a --> c --> n2[norm] --> p["1x1, GELU, 1x1"] --> r((sum))
        c --> r
    end
```

Known by its title alone, "Dynamic Graph SR via Message Passing & Conv Mixer" (2025); neither paper
nor code was found. RGB in [0, 1], no mean shift; mirrored to a multiple of 16 inside.

Everything in it is a choice, and it claims no published number.
"""

import torch
from torch import Tensor, nn

from sr_zoo.blocks import (
    MLP,
    LayerNorm2d,
    PixelShuffleUpsampler,
    RelativePositionBias,
    channels_first,
    channels_last,
    conv1x1,
    crop,
    join_heads,
    merge,
    pad_to_multiple,
    partition,
    split_heads,
    unit_length,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

WINDOW = (16, 16)
MULTIPLE = 16
MIXER_KERNEL = 7
EXPANSION = 6  # of the mixer's 1x1 convolutions, as in MobileNetV2's inverted bottlenecks
NORM_EPS = 1e-6


class MessagePassing(nn.Module):
    """One round of messages along the edges to each pixel's most similar pixels of its window.

    An edge's weight is the softmax, over a pixel's edges, of the cosine of the two pixels' features
    times a learned sharpness, plus a bias learned per offset. A pixel's update sees what it
    received beside what it had (Gilmer et al., ICML 2017). Every head has a graph of its own.
    Equally similar neighbours are all kept, so that no order decides between them.

    Shape: (N, channels, H, W) to the same; H, W multiples of 16.

    Args:
        channels: Width of the input and of the output.
        num_heads: Divides `channels`.
        num_neighbours: Edges that lead to a pixel; at most 256.
    """

    def __init__(self, channels: int, num_heads: int, num_neighbours: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_neighbours = num_neighbours
        self.embed = nn.Linear(channels, 2 * channels)
        self.message = nn.Linear(channels, channels)
        self.sharpness = nn.Parameter(torch.full((num_heads, 1, 1), 10.0))
        self.bias = RelativePositionBias(WINDOW, num_heads)
        self.update = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        last = channels_last(x)
        pixels = partition(last, WINDOW)
        receiver, sender = (
            unit_length(split_heads(part, self.num_heads), -1)
            for part in self.embed(pixels).chunk(2, dim=-1)
        )
        # no scaled_dot_product_attention: which edges there are follows from the logits themselves
        similarity = receiver @ sender.transpose(-2, -1)  # (N, windows, heads, pixels, pixels)
        weakest = similarity.detach().topk(self.num_neighbours, dim=-1).values[..., -1:]
        logits = self.sharpness * similarity + self.bias()
        edges = logits.masked_fill(similarity < weakest, -torch.inf).softmax(dim=-1)
        received = join_heads(edges @ split_heads(self.message(pixels), self.num_heads))
        out = self.update(torch.cat([pixels, received], dim=-1))
        return channels_first(merge(out, WINDOW, (last.shape[1], last.shape[2])))


class ConvMixer(nn.Module):
    """A depthwise 7x7 over the pixels, then 1x1 convolutions over the channels, each skipped.

    Source: Trockman and Kolter, Patches Are All You Need?, TMLR 2023.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = MIXER_KERNEL // 2
        self.depthwise = nn.Sequential(
            nn.Conv2d(channels, channels, MIXER_KERNEL, padding=half, groups=channels), nn.GELU()
        )
        self.pointwise = nn.Sequential(
            LayerNorm2d(channels, NORM_EPS), *MLP(channels, EXPANSION * channels, layer=conv1x1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.depthwise(x)
        return x + self.pointwise(x)


class GraphBlock(nn.Module):
    """Messages on a graph built from the features, then a mixer."""

    def __init__(self, channels: int, num_heads: int, num_neighbours: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels, NORM_EPS)
        self.messages = MessagePassing(channels, num_heads, num_neighbours)
        self.mixer = ConvMixer(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.mixer(x + self.messages(self.norm(x)))


class DGSR(SRNetwork):
    """A chain of graph blocks under one long skip; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_blocks: How many.
        num_heads: Graphs of each block; divides `channels`.
        num_neighbours: Edges that lead to a pixel in each graph, itself included; at most 256.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 48,
        num_blocks: int = 8,
        num_heads: int = 2,
        num_neighbours: int = 9,
    ) -> None:
        super().__init__(scale)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(GraphBlock(channels, num_heads, num_neighbours) for _ in range(num_blocks))
        )
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        shallow = self.head(pad_to_multiple(x, MULTIPLE))
        deep = self.body_out(self.body(shallow))
        return crop(self.upsampler(shallow + deep), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=DGSR,
    variants={"dgsr": Variant(halo=133)},
    paper=Paper("Dynamic Graph SR via Message Passing & Conv Mixer", "-", 2025),
    tags=("cnn", "transformer", "reading"),
    grid=MULTIPLE,
)
