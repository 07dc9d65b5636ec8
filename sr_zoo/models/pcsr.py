"""PCSR: pixel-level classification for super-resolution.

An encoder runs at LR size; then every HR pixel is computed from the feature nearest to it by one of
two small perceptrons, a light and a heavy one, and a third scores which it needs. `forward`
computes both everywhere and picks; `spend` gathers the pixels of each class. Where the classes
meet, light pixels are smoothed with their neighbours.

Paper: Jeong et al., ECCV 2024, arXiv:2407.21448. RGB in [0, 1]; on CARN-M mean-shifted inside.

```mermaid
flowchart LR
    LR --> encoder --> classifier{classifier} --> light[light perceptron] --> refine
    encoder --> light & heavy
    classifier --> heavy[heavy perceptron] --> refine[smooth borders of classes] --> add((+)) --> SR
    LR --> bilinear --> add
```

Departs from the authors' code in one point: each image of a batch is clustered by itself, where
theirs clusters the pixels of all images together. The first layer of each perceptron is linear in
the feature and the pixel's place, so its part of the feature is computed once per LR pixel.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    DIV2K_MEAN,
    CARNTrunk,
    FSRCNNTrunk,
    MeanShift,
    channels_last,
    hooked_weight,
)
from sr_zoo.blocks.cascade import CASCADE, normalised_conv
from sr_zoo.blocks.clustering import two_means
from sr_zoo.blocks.interpolate import places_in_pixel
from sr_zoo.blocks.sparse import highest
from sr_zoo.dynamic import Budget, DynamicNetwork, Effort, affordable
from sr_zoo.spec import ArchSpec, Paper, Variant

SCALE = 4
GROUPS = 4  # of CARN-M
PLACE = 4  # inputs of a perceptron besides the feature: place in the LR pixel, size of the HR pixel
CHUNK = 65536  # pixels computed at a time


class Perceptron(nn.Module):
    """Linear layers, ReLU between them, on a feature and a pixel's place within its LR pixel."""

    def __init__(self, channels: int, widths: Sequence[int], out_channels: int) -> None:
        super().__init__()
        sizes = (channels + PLACE, *widths, out_channels)
        first, *others = (nn.Linear(a, b) for a, b in pairwise(sizes))
        self.head = first
        self.layers = nn.ModuleList(others)
        self.channels = channels

    def forward(self, features: Tensor, places: Tensor) -> Tensor:
        """Compute all pixels: (..., channels) and (P, 4) to (..., P, out_channels)."""
        of_feature, of_place = self.first(features, places)
        return self.rest(of_feature.unsqueeze(-2) + of_place)

    def first(self, features: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return both parts of the first layer: (..., C) and (P, 4) to (..., W) and (P, W)."""
        weight, bias = hooked_weight(self.head), self.head.bias
        return (
            F.linear(features, weight[:, : self.channels]),
            F.linear(places, weight[:, self.channels :], bias),
        )

    def rest(self, x: Tensor) -> Tensor:
        """Compute what follows the first layer."""
        for layer in self.layers:
            x = layer(torch.relu(x))
        return x

    def chosen(self, features: Tensor, places: Tensor, index: Tensor) -> Tensor:
        """Compute chosen pixels only: (L, channels), (P, 4) and indices into L*P to (n, out)."""
        of_feature, of_place = self.first(features, places)
        count = len(places)
        parts = index.split(CHUNK) if len(index) else [index]
        return torch.cat([self.rest(of_feature[i // count] + of_place[i % count]) for i in parts])

    def macs(self) -> int:
        """Return the multiply-adds of a pixel, the first layer computed for each."""
        return sum(m.weight.numel() for m in self.modules() if isinstance(m, nn.Linear))

    def macs_of_feature(self) -> int:
        """Return those of them that the pixels of one LR pixel share."""
        return self.head.out_features * self.channels


class PCSR(DynamicNetwork):
    """An encoder, and per HR pixel a light or a heavy perceptron.

    Args:
        scale: Upscaling factor.
        channels: Width of the encoder's features.
        heavy: Widths of the heavy perceptron's hidden layers.
        light: Those of the light one.
        classifier: Those of the one that chooses.
        k: How much costs count when a pixel chooses: 0 for not at all, above that light pixels get
            more, below heavy ones; None to split each image's pixels into two clusters.
        refine: Whether light pixels next to heavy ones are smoothed.
        mean: Colour that is subtracted first.
    """

    knob: ClassVar = ("k", "how much costs count when a pixel chooses, 0 for not at all")
    encoder: nn.Module
    places: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int,
        heavy: Sequence[int],
        light: Sequence[int],
        classifier: Sequence[int],
        k: float | None,
        refine: bool,
        mean: Sequence[float],
    ) -> None:
        super().__init__(scale)
        self.k = k
        self.refine = refine
        self.channels = channels
        self.heavy = Perceptron(channels, heavy, 3)
        self.light = Perceptron(channels, light, 3)
        self.classifier = Perceptron(channels, classifier, 2)
        self.register_constant("places", places_in_pixel, scale)
        self.mean_shift = MeanShift(mean)

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Compute features: (N, 3, H, W), mean-shifted, to (N, channels, H, W)."""

    @abstractmethod
    def encoder_costs(self) -> tuple[int, int]:
        """Return multiply-adds per LR pixel, and other operations that the authors count."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.blended(x)[0]
        shifted, features, hardness = self._scored(x)
        light, heavy = self.light(features, self.places), self.heavy(features, self.places)
        hard = self.decide(hardness, self.k)[..., None]
        pixels = self._pixels(torch.where(hard, heavy, light)) + self._enlarge(shifted)
        return self.mean_shift.restore(self._refined(pixels, self._pixels(hard)))

    def blended(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mix both perceptrons by the classifier's probability, which is how it learns.

        Returns:
            The picture, and the probability of each pixel to be hard, (N, H, W, scale**2).
        """
        shifted, features, hardness = self._scored(x)
        light, heavy = self.light(features, self.places), self.heavy(features, self.places)
        pixels = self._pixels(torch.lerp(light, heavy, hardness[..., None]))
        return self.mean_shift.restore(pixels + self._enlarge(shifted)), hardness

    def all_heavy(self, x: Tensor) -> Tensor:
        """Compute every pixel by the heavy perceptron, without asking the classifier."""
        shifted = self.mean_shift(x)
        features = channels_last(self.encode(shifted))
        pixels = self._pixels(self.heavy(features, self.places))
        return self.mean_shift.restore(pixels + self._enlarge(shifted))

    def _scored(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean-shifted image, its features, and how hard the classifier finds pixels."""
        shifted = self.mean_shift(x)
        features = channels_last(self.encode(shifted))
        hardness = self.classifier(features, self.places).softmax(-1)[..., 1]
        return shifted, features, hardness

    def decide(self, hardness: Tensor, k: float | None) -> Tensor:
        """Return which pixels are hard.

        Args:
            hardness: (N, ...), the classifier's probability.
            k: As for the constructor.
        """
        if k is None:
            return two_means(hardness.flatten(1)).view_as(hardness)
        light, heavy = self.class_costs()
        return hardness / heavy**k > (1 - hardness) / light**k

    def class_costs(self) -> tuple[float, float]:
        """Return what a light and a heavy pixel cost in the authors' count; their sum is 1."""
        macs, others = self.encoder_costs()
        encoder = 2 * macs + others
        light, heavy = (
            encoder + 2 * sampler.macs() * self.scale**2 for sampler in (self.light, self.heavy)
        )
        return light / (light + heavy), heavy / (light + heavy)

    def _pixels(self, tokens: Tensor) -> Tensor:
        """Arrange (N, h, w, scale**2, C) as a picture (N, C, scale*h, scale*w)."""
        batch, height, width, _, channels = tokens.shape
        s = self.scale
        grid = tokens.view(batch, height, width, s, s, channels).permute(0, 5, 1, 3, 2, 4)
        return grid.reshape(batch, channels, s * height, s * width)

    def _enlarge(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=float(self.scale), mode="bilinear")

    def _refined(self, pixels: Tensor, hard: Tensor) -> Tensor:
        """Smooth easy pixels that touch hard ones, but for those at the picture's border."""
        if not self.refine:
            return pixels
        wanted = hard.to(pixels.dtype)
        touching = F.max_pool2d(wanted, 3, stride=1, padding=1)
        inside = F.pad(torch.ones_like(wanted[..., 1:-1, 1:-1]), (1, 1, 1, 1))
        smooth = F.avg_pool2d(pixels, 3, stride=1, padding=1)
        return torch.lerp(pixels, smooth, touching * (1 - wanted) * inside)

    def spend(self, image: Tensor, budget: Budget) -> Effort:
        height, width = image.shape[-2:]
        cheapest, full = self.costs(height, width)
        shifted, features, hardness = self._scored(image)
        if budget.kind == "share":
            hard = highest(hardness, affordable(budget.value, cheapest, full))
        else:
            hard = self.decide(hardness, None if budget.kind == "auto" else budget.value)
        tokens = image.new_empty(hard.numel(), 3)
        for sampler, mine in ((self.heavy, hard), (self.light, ~hard)):
            index = mine.flatten().nonzero().flatten()
            computed = sampler.chosen(features.flatten(0, 2), self.places, index)
            tokens[index] = computed.to(tokens.dtype)  # autocast may have chosen another
        pixels = self._pixels(tokens.view(*hard.shape, 3)) + self._enlarge(shifted)
        mask = self._pixels(hard[..., None])
        output = self.mean_shift.restore(self._refined(pixels, mask))
        spent = cheapest + (full - cheapest) * mask.float().mean().item()
        return Effort(output, ("light", "heavy"), {"pixels": mask[0, 0].long().cpu()}, spent, full)

    def costs(self, height: int, width: int) -> tuple[float, float]:
        """Return the multiply-adds of the all-light and the all-heavy mode.

        The part of the feature in each perceptron's first layer counts once per LR pixel.
        """
        samplers = (self.classifier, self.light, self.heavy)
        fixed = self.encoder_costs()[0] + sum(s.macs_of_feature() for s in samplers)
        fixed += self._macs_of_pixel(self.classifier)
        light, heavy = self._macs_of_pixel(self.light), self._macs_of_pixel(self.heavy)
        pixels = height * width
        return (fixed + light) * pixels, (fixed + heavy) * pixels

    def _macs_of_pixel(self, sampler: Perceptron) -> int:
        return (sampler.macs() - sampler.macs_of_feature()) * self.scale**2


class PCSRFSRCNN(PCSR):
    """PCSR on FSRCNN; (N, 3, H, W) to (N, 3, scale*H, scale*W). For the arguments see `PCSR`."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 48,
        heavy: Sequence[int] = (58, 58, 58, 58),
        light: Sequence[int] = (10, 10, 10),
        classifier: Sequence[int] = (),
        k: float | None = 0.0,
        refine: bool = True,
    ) -> None:
        super().__init__(
            scale=scale,
            channels=channels,
            heavy=heavy,
            light=light,
            classifier=classifier,
            k=k,
            refine=refine,
            mean=(0.0, 0.0, 0.0),
        )
        self.encoder = FSRCNNTrunk(channels)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def encoder_costs(self) -> tuple[int, int]:
        convs = [m for m in self.encoder.modules() if isinstance(m, nn.Conv2d)]
        slopes = (self.channels + convs[2].out_channels) * 2  # head, expand; squeeze, mapping
        return sum(conv.weight.numel() for conv in convs), slopes


class PCSRCARN(PCSR):
    """PCSR on CARN-M; (N, 3, H, W) to (N, 3, scale*H, scale*W). For the arguments see `PCSR`."""

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 52,
        heavy: Sequence[int] = (74, 74, 74, 74),
        light: Sequence[int] = (20, 20, 20),
        classifier: Sequence[int] = (10, 10),
        k: float | None = 0.0,
        refine: bool = True,
    ) -> None:
        super().__init__(
            scale=scale,
            channels=channels,
            heavy=heavy,
            light=light,
            classifier=classifier,
            k=k,
            refine=refine,
            mean=DIV2K_MEAN,
        )
        self.encoder = CARNTrunk(channels, GROUPS, mix=normalised_conv)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def encoder_costs(self) -> tuple[int, int]:
        area = self.channels**2
        step = 2 * 9 * area // GROUPS + area
        mixes = sum(range(2, CASCADE + 2)) * area
        normalisations = 2 * (CASCADE + 1) * CASCADE * self.channels
        return 27 * self.channels + CASCADE * (CASCADE * step + mixes) + mixes, normalisations


SPEC = ArchSpec(
    network=PCSRFSRCNN,
    variants={"pcsr_fsrcnn": Variant(halo=7, scales=(SCALE,))},
    paper=Paper(
        "Accelerating Image Super-Resolution Networks with Pixel-Level Classification",
        "ECCV",
        2024,
        "2407.21448",
    ),
    tags=("cnn", "dynamic"),
    reference="3587jjh/PCSR",
)
OTHER_FORMS = (
    replace(SPEC, network=PCSRCARN, variants={"pcsr_carn": Variant(halo=20, scales=(SCALE,))}),
)
