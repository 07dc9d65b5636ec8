"""SeemoRe: efficient super-resolution by experts mining.

A router looks at the average of the features and picks, for each image, one of several low-rank
experts, which modulates the features by a strongly pooled view of their surroundings. A second kind
of block modulates them by what a large striped convolution sees, the same for all images. Each, the
first drawn below, is followed by a feed-forward block in which one half gates the other.

```mermaid
flowchart LR
  x([features]) --> split["norm, 3x3, GELU, 1x1, split"] --> values["striped 3x3, GELU"]
  split --> context["add pooled by 4 or 16"] --> expert["chosen expert"] --> sum((+))
  values --> expert
  values --> router["mean, router"] -- which --> expert
  values --> sum --> project["1x1"] --> add((+)) --> y([features])
  x --> add
```

Paper: Zamfir et al., ICML 2024, arXiv:2402.03412. RGB in [0, 1], mean-shifted inside.

Departs from the authors' evaluation code in one point: each image of a batch is routed by itself,
where theirs is right for single images only.
"""

from itertools import chain
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    ComputedMap,
    GatedFFN,
    LayerNorm2d,
    MeanShift,
    MoRE,
    PassingMap,
    PixelShuffleUpsampler,
    ResizedMap,
    StripedConv2d,
    crop,
    half_convs,
    in_strips,
    pad_to_minimum,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

NORM_EPS = 1e-6
FFN_EXPANSION = 2
POOL = 4  # kernel and stride of the strided convolution that gathers context


class ContextPyramid(nn.Module):
    """Says to each pixel what a strongly pooled view of its surroundings holds (section 3.1).

    The pooling convolution is applied `depth` times with the same weights.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.pool = nn.Conv2d(channels, channels, POOL, stride=POOL, groups=channels)
        self.mix = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.Conv2d(channels, channels, 1),
        )
        self.depth = depth

    def forward(self, x: Tensor | ComputedMap) -> ResizedMap:
        cells = x
        for _ in range(self.depth):
            cells = in_strips(lambda strip: F.gelu(self.pool(strip)), cells, shrink=POOL)
        stride = POOL**self.depth
        size = (x.shape[-2], x.shape[-1])
        return ResizedMap(self.mix(cells), size, window=stride, stride=stride)


class ExpertMixer(nn.Module):
    """Splits features into values and context and lets MoRE modulate one by the other.

    With `shuffle`, the two halves interleave before the split.
    """

    def __init__(self, channels: int, ranks: list[int], depth: int, *, shuffle: bool) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels, 2 * channels, 1),
        )
        self.shuffle = shuffle
        self.values = nn.Sequential(StripedConv2d(channels, 3), nn.GELU())
        self.context = ContextPyramid(channels, depth)
        self.experts = MoRE(channels, ranks)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, norm: nn.Module, into: Tensor | None = None) -> Tensor:
        convolve, activate, expand = self.expand
        # each step runs strip by strip as far as it is local, and no map outlives its use
        inner = in_strips(lambda strip: activate(convolve(norm(strip))), x, reach=1)
        to_values, to_context = half_convs(cast("nn.Conv2d", expand), shuffle=self.shuffle)
        values = ComputedMap(lambda strip: self.values(to_values(strip)), inner, reach=1)
        context = ComputedMap(to_context, inner)
        del inner
        modulate = self.experts.choose(values)

        def mixed(skip: Tensor, values: Tensor, context: Tensor, pooled: Tensor) -> Tensor:
            return skip + self.project(modulate(values, context + pooled))

        # twice as many strips, for the maps that are computed on the way
        return in_strips(mixed, x, values, context, self.context(context), inflation=2, into=into)


class StripedModulation(nn.Module):
    """Modulates values by what a large striped convolution sees around them (section 3.2)."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.strip = StripedConv2d(channels, kernel_size)
        self.project = nn.Conv2d(channels, channels, 1)
        self.reach = kernel_size // 2

    def forward(self, x: Tensor, norm: nn.Module, into: Tensor | None = None) -> Tensor:
        return in_strips(
            lambda strip: strip + self._modulated(norm(strip)), x, reach=self.reach, into=into
        )

    def _modulated(self, x: Tensor) -> Tensor:
        to_queries, to_values = half_convs(self.expand)
        # in one expression, so that no map outlives its use
        return self.project(self.strip(F.gelu(to_queries(x))) * F.gelu(to_values(x)))


class ExpertBlock(nn.Module):
    """A mixer and a gated feed-forward block, each normalised before and skipped around.

    With an `ExpertMixer` it is the paper's RME, with a `StripedModulation` its SME. The mixers take
    the normalisation as an argument and add the skip themselves, so that neither needs a map of
    its own. What is given as `into`, `x` itself if it is of no use afterwards, may be overwritten.
    """

    def __init__(self, channels: int, mixer: nn.Module) -> None:
        super().__init__()
        self.norm_mixer = LayerNorm2d(channels, NORM_EPS)
        self.mixer = mixer
        self.norm_ffn = LayerNorm2d(channels, NORM_EPS)
        self.ffn = GatedFFN(channels, FFN_EXPANSION * channels)

    def forward(self, x: Tensor, into: Tensor | None = None) -> Tensor:
        mixed = self.mixer(x, self.norm_mixer, into)
        return in_strips(
            lambda strip: strip + self.ffn(self.norm_ffn(strip)), mixed, reach=1, into=mixed
        )


class SeemoRe(SRNetwork):
    """Residual groups of a low-rank and a spatial expert block; (N, 3, H, W) to scale times that.

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_groups: Residual groups, each an RME and an SME.
        num_experts: Low-rank experts per group; their ranks are 2, 4, 8, ...
        kernel_size: Of the striped convolution.
        context_depth: How often the context is pooled by 4; the image is padded inside to at
            least 4**context_depth pixels.
        shuffle: Whether values and context interleave (tiny and base) or not (large).
    """

    in_strips = True

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 36,
        num_groups: int = 6,
        num_experts: int = 3,
        kernel_size: int = 11,
        context_depth: int = 2,
        shuffle: bool = True,
    ) -> None:
        super().__init__(scale)
        ranks = [2 ** (i + 1) for i in range(num_experts)]
        groups = [
            nn.Sequential(
                ExpertBlock(channels, ExpertMixer(channels, ranks, context_depth, shuffle=shuffle)),
                ExpertBlock(channels, StripedModulation(channels, kernel_size)),
            )
            for _ in range(num_groups)
        ]
        self.least_side = POOL**context_depth
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*groups)
        self.norm = LayerNorm2d(channels, NORM_EPS)
        self.body_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        image = pad_to_minimum(x, self.least_side)
        deep = self._first(image)
        for block in chain.from_iterable(cast("list[nn.Sequential]", self.body)):
            deep = block(deep, deep)  # a group would hold its input until its end
        passing = PassingMap(deep)
        del deep
        out = in_strips(self._pixels, image, passing, reach=3, scale=self.scale)
        return crop(out, self.scale * height, self.scale * width)

    def _first(self, image: Tensor) -> Tensor:
        return self.head(self.mean_shift(image))

    def _pixels(self, image: Tensor, deep: Tensor) -> Tensor:
        deep = self.body_out(self.norm(deep))
        # computing the first features again takes less than holding them all the way
        return self.mean_shift.restore(self.upsampler(self._first(image) + deep))


SPEC = ArchSpec(
    network=SeemoRe,
    variants={
        "seemore_t": Variant(halo=369),
        "seemore_b": Variant(halo=491, arguments={"channels": 48, "num_groups": 8}),
        "seemore_l": Variant(
            halo=323,
            arguments={"channels": 48, "num_groups": 16, "context_depth": 1, "shuffle": False},
        ),
    },
    paper=Paper(
        "See More Details: Efficient Image Super-Resolution by Experts Mining",
        "ICML",
        2024,
        "2402.03412",
    ),
    tags=("cnn", "moe", "dynamic"),
    reference="eduardzamfir/seemoredetails",
    reference_license="Apache-2.0",
    grid=POOL**2,
    global_statistics=True,
)
