"""How photographs lose quality before anyone enlarges them, as transforms that compose.

A degradation is called with an HR patch, (3, H, W), RGB in [0, 1], and a random generator that all
its choices are drawn from; it returns the degraded patch. `classical` and `second_order` are the
two chains of the literature, ready to use; anything else is `Chain` or `Shuffled` over the parts.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.errors import OptionError, did_you_mean
from sr_zoo.evaluation.resize import imresize
from sr_zoo.training import recipe

Degradation: TypeAlias = Callable[[Tensor, np.random.Generator], Tensor]
Range: TypeAlias = tuple[float, float]

NARROWEST = 1e-6  # pixels; a Gaussian of no width is no number


@dataclass(frozen=True)
class Bicubic:
    """Reduces as MATLAB does, and nothing else: what papers mean by super-resolution."""

    scale: int

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        del rng
        reduced = imresize(image, size=_reduced(image, self.scale))
        return reduced.clamp(0, 1).mul(255).round() / 255


@dataclass(frozen=True)
class GaussianBlur:
    """Blurs with a Gaussian, as often turned and stretched as round.

    Attributes:
        sigma: Standard deviations, in pixels, drawn from uniformly.
        anisotropic: How often the two axes have different ones.
        probability: How often it blurs at all.
    """

    sigma: Range = (0.2, 3.0)
    anisotropic: float = 0.5
    probability: float = 1.0

    def __post_init__(self) -> None:
        _check_range("sigma of GaussianBlur", self.sigma, 0)

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        if rng.random() >= self.probability:
            return image
        long, short = rng.uniform(*self.sigma, size=2)
        angle = rng.uniform(0, np.pi)
        if rng.random() >= self.anisotropic:
            short = long
        return filtered(image, gaussian_kernel(long, short, angle))


@dataclass(frozen=True)
class SincBlur:
    """Cuts frequencies above a limit, which rings as sharpening and compression do.

    Attributes:
        cutoff: Limits in radians per pixel, drawn from uniformly; pi cuts nothing.
        probability: How often it filters at all.
    """

    cutoff: Range = (np.pi / 3, np.pi)
    probability: float = 0.8
    SIDE = 21

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        if rng.random() >= self.probability:
            return image
        return filtered(image, sinc_kernel(rng.uniform(*self.cutoff), self.SIDE))


@dataclass(frozen=True)
class Resize:
    """Resizes by a random factor with a random kernel.

    Attributes:
        factor: Output side over input side, drawn from uniformly.
    """

    factor: Range = (0.5, 1.2)
    MODES = ("area", "bilinear", "bicubic")

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        factor = rng.uniform(*self.factor)
        size = tuple(max(1, round(side * factor)) for side in image.shape[-2:])
        return resized(image, (size[0], size[1]), str(rng.choice(self.MODES)))


@dataclass(frozen=True)
class ResizeTo:
    """Resizes to the LR size with a random kernel, whatever the image's size is by now.

    Attributes:
        size: Height and width.
    """

    size: tuple[int, int]

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        return resized(image, self.size, str(rng.choice(Resize.MODES)))


@dataclass(frozen=True)
class Reduce:
    """Resizes to the LR size, which is the patch's over the scale, with a random kernel."""

    scale: int

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        return ResizeTo(_reduced(image, self.scale))(image, rng)


@dataclass(frozen=True)
class GaussianNoise:
    """Adds noise of the same strength everywhere.

    Attributes:
        sigma: Standard deviations in levels of 255, drawn from uniformly.
        grey: How often all channels get the same noise.
        probability: How often it adds any.
    """

    sigma: Range = (1.0, 25.0)
    grey: float = 0.4
    probability: float = 1.0

    def __post_init__(self) -> None:
        _check_range("sigma of GaussianNoise", self.sigma, 0)

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        if rng.random() >= self.probability:
            return image
        sigma = rng.uniform(*self.sigma) / 255
        channels = 1 if rng.random() < self.grey else image.shape[0]
        noise = rng.standard_normal((channels, *image.shape[1:]), np.float32)
        return (image + sigma * torch.from_numpy(noise)).clamp(0, 1)


@dataclass(frozen=True)
class PoissonNoise:
    """Counts photons: noise that grows with the square root of brightness.

    Attributes:
        strength: Variance at white relative to 255 photons per pixel, drawn from uniformly.
    """

    strength: Range = (0.05, 3.0)

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        photons = 255 / rng.uniform(*self.strength)
        counted = rng.poisson(image.double().numpy().clip(0, 1) * photons) / photons
        return torch.from_numpy(counted).float().clamp(0, 1)


@dataclass(frozen=True)
class JPEG:
    """Compresses as a JPEG file, colours at half resolution.

    Attributes:
        quality: From 1 to 100, drawn from uniformly.
        probability: How often it compresses at all.
    """

    quality: tuple[int, int] = (30, 95)
    probability: float = 1.0

    def __post_init__(self) -> None:
        _check_range("quality of JPEG", self.quality, 1, 100, kind=Integral)

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        if rng.random() >= self.probability:
            return image
        pixels = image.clamp(0, 1).mul(255).round().byte().movedim(0, -1).numpy()
        file = io.BytesIO()
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        with Image.open(file) as compressed:
            return torch.from_numpy(np.array(compressed)).movedim(-1, 0).float() / 255


@dataclass(frozen=True)
class Chain:
    """One degradation after the other."""

    parts: tuple[Degradation, ...]

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        for part in self.parts:
            image = part(image, rng)
        return image


@dataclass(frozen=True)
class Shuffled:
    """All of them, in an order drawn for each patch. Source: Zhang et al., BSRGAN, ICCV 2021."""

    parts: tuple[Degradation, ...]

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        for index in rng.permutation(len(self.parts)):
            image = self.parts[index](image, rng)
        return image


@dataclass(frozen=True)
class OneOf:
    """One of several tasks for each patch, so that one network learns them all.

    Attributes:
        parts: What to choose from.
        weights: How often each is chosen, relative to the others.

    Raises:
        OptionError: Nothing can be chosen by these weights.
    """

    parts: tuple[Degradation, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(0 <= weight < math.inf for weight in self.weights) or not any(self.weights):
            raise OptionError(
                "weights of degradations must not be negative, and one of them must be positive, "
                f"got {list(self.weights)}"
            )

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        chances = np.array(self.weights) / sum(self.weights)
        return self.parts[rng.choice(len(self.parts), p=chances)](image, rng)


@dataclass(frozen=True)
class _SecondOrder:
    """What `second_order` returns: two chains, then ringing and compression around the LR size."""

    scale: int
    first: Degradation
    second: Degradation

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        size = ResizeTo(_reduced(image, self.scale))  # of the patch before it is resized
        ringing, compression = SincBlur(), JPEG((30, 95))
        last = OneOf(
            (Chain((size, ringing, compression)), Chain((compression, size, ringing))), (0.5, 0.5)
        )
        return Chain((self.first, self.second, last))(image, rng).clamp(0, 1)


def classical(
    scale: int,
    *,
    sigma: Range = (0.2, 3.0),
    noise: Range = (1.0, 25.0),
    quality: tuple[int, int] = (30, 95),
) -> Degradation:
    """Return the classical chain: blur, reduction, noise, JPEG.

    Args:
        scale: Upscaling factor to undo.
        sigma: Of `GaussianBlur`.
        noise: Standard deviations of `GaussianNoise`.
        quality: Of `JPEG`.

    Raises:
        OptionError: A range is none that can be drawn from.
    """
    return Chain((GaussianBlur(sigma), Reduce(scale), GaussianNoise(noise), JPEG(quality)))


def second_order(scale: int) -> Degradation:
    """Return the chain of Wang et al., Real-ESRGAN, ICCVW 2021: all of it twice, then ringing.

    The ranges are the paper's; its generalised Gaussian and plateau kernels are left out.

    Args:
        scale: Upscaling factor to undo.
    """
    first = Chain(
        (
            SincBlur(probability=0.1),
            GaussianBlur((0.2, 3.0)),
            Resize((0.15, 1.5)),
            OneOf((GaussianNoise((1.0, 30.0)), PoissonNoise((0.05, 3.0))), (0.5, 0.5)),
            JPEG((30, 95)),
        )
    )
    second = Chain(
        (
            GaussianBlur((0.2, 1.5), probability=0.8),
            Resize((0.3, 1.2)),
            OneOf((GaussianNoise((1.0, 25.0)), PoissonNoise((0.05, 2.5))), (0.5, 0.5)),
        )
    )
    return _SecondOrder(scale, first, second)


DEGRADATIONS: dict[str, Callable[..., Degradation]] = {
    "bicubic": Bicubic,
    "classical": classical,
    "second_order": second_order,
}


def build_degradation(name: str, scale: int, arguments: Mapping[str, Any]) -> Degradation:
    """Return a degradation of a recipe.

    Raises:
        OptionError: It is unknown, or takes no such argument, or no such value of it.
    """
    if name not in DEGRADATIONS:
        raise OptionError(
            f"Unknown degradation {name!r}.{did_you_mean(name, DEGRADATIONS)} "
            f"Known are {', '.join(DEGRADATIONS)}"
        )
    ranges = {k: tuple(v) if isinstance(v, Sequence) else v for k, v in arguments.items()}
    try:
        return DEGRADATIONS[name](scale, **ranges)
    except (TypeError, OptionError) as error:
        raise OptionError(f"degradation {name!r}: {error}") from error


def build_mixture(mixture: Sequence[recipe.Degradation], scale: int) -> Degradation | None:
    """Return what makes LR patches from HR patches, or None where a recipe names nothing.

    Raises:
        OptionError: As for `build_degradation`, or nothing can be drawn by the weights.
    """
    if not mixture:
        return None
    parts = tuple(build_degradation(part.name, scale, part.arguments) for part in mixture)
    return OneOf(parts, tuple(part.weight for part in mixture))


def gaussian_kernel(long: float, short: float, angle: float) -> Tensor:
    """Return a Gaussian as (K, K) weights that sum to one, out to three standard deviations.

    Args:
        long: Standard deviation along the first axis, in pixels; 0 blurs nothing.
        short: Along the second.
        angle: Of the first axis, in radians from the horizontal.
    """
    long, short = max(long, NARROWEST), max(short, NARROWEST)
    reach = max(1, int(np.ceil(3 * max(long, short))))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    kernel = torch.exp(-((along / long) ** 2 + (across / short) ** 2) / 2)
    return (kernel / kernel.sum()).float()


def sinc_kernel(cutoff: float, side: int) -> Tensor:
    """Return the circular low-pass filter as (side, side) weights that sum to one.

    Args:
        cutoff: Highest frequency that passes, in radians per pixel.
        side: Odd.
    """
    offsets = torch.arange(side, dtype=torch.float64) - side // 2
    radius = (offsets[:, None].square() + offsets.square()).sqrt()
    kernel = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * np.pi * radius)
    kernel[side // 2, side // 2] = cutoff**2 / (4 * np.pi)  # the limit at zero
    return (kernel / kernel.sum()).float()


def filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Return an image (3, H, W) filtered by a kernel (K, K), borders repeated."""
    reach = kernel.shape[-1] // 2
    padded = F.pad(image[:, None], [reach] * 4, mode="replicate")
    return F.conv2d(padded, kernel[None, None])[:, 0]


def resized(image: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Return an image (3, H, W) at another size; bicubic as MATLAB's, with antialiasing."""
    if mode == "bicubic":
        return imresize(image, size=size).clamp(0, 1)
    if mode == "area":
        return F.interpolate(image[None], size, mode="area")[0]
    return F.interpolate(image[None], size, mode=mode, align_corners=False, antialias=True)[0]


def _reduced(image: Tensor, scale: int) -> tuple[int, int]:
    return image.shape[-2] // scale, image.shape[-1] // scale


def _check_range(
    name: str, value: Any, least: float, most: float = math.inf, *, kind: Any = Real
) -> None:
    """Raise OptionError unless numbers can be drawn from between two."""
    ends = value if isinstance(value, Sequence) else ()
    numeric = len(ends) == 2 and all(isinstance(end, kind) and math.isfinite(end) for end in ends)
    if not numeric or not least <= ends[0] <= ends[1] <= most:
        numbers = "two whole numbers" if kind is Integral else "two numbers"
        limits = f"from {least} to {most}" if math.isfinite(most) else f"of at least {least}"
        raise OptionError(
            f"{name} must be {numbers} {limits}, the smaller first, to draw between; got {value!r}"
        )
