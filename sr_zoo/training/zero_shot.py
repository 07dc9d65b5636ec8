"""Super-resolution of one image by nothing but that image, for degradations that no weights know.

Two methods. ZSSR (Shocher et al., CVPR 2018): small patterns recur in an image at several sizes,
so a small network learns to undo a further reduction of the image, and is then applied to it. Deep
image prior (Ulyanov et al., CVPR 2018): a convolutional network makes natural images more readily
than noise, so its weights are fitted until its output, reduced, is the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.atomic import make_writable
from sr_zoo.errors import ImageWriteError, OptionError
from sr_zoo.evaluation.resize import imresize
from sr_zoo.inference.ensemble import self_ensemble

Reduction = Callable[[Tensor, int], Tensor]

METHODS = ("zssr", "deep-image-prior")
SMALLEST = 16  # pixels along a side that are needed to learn from


def reduce_bicubic(image: Tensor, scale: int) -> Tensor:
    """Reduce (N, 3, H, W) as MATLAB does, to sides of H / scale and W / scale, rounded up."""
    return imresize(image, 1 / scale)


def zero_shot(
    image: Tensor,
    scale: int = 2,
    *,
    method: str = "zssr",
    iterations: int = 1000,
    noise: float = 0.0,
    reduction: Reduction = reduce_bicubic,
    seed: int = 0,
    progress: Callable[[int, float], object] = lambda _iteration, _loss: None,
) -> Tensor:
    """Enlarge one image by learning from it alone.

    Args:
        image: (3, H, W), RGB in [0, 1].
        scale: Upscaling factor.
        method: ``"zssr"`` or ``"deep-image-prior"``.
        iterations: Steps of the optimiser; more is sharper for ZSSR, and in the end noisier for the
            deep image prior.
        noise: For ZSSR, standard deviation in levels of 255 of noise added to what it learns to
            enlarge, for images that are noisy themselves.
        reduction: What made the image small: called with (1, 3, H, W) and the scale.
        seed: Of weights and patches.
        progress: Called with the number of each step and its loss.

    Returns:
        (3, scale*H, scale*W), in [0, 1].

    Raises:
        OptionError: The method is unknown, the image is too small, or an option is out of range.
    """
    if method not in METHODS:
        raise OptionError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if min(image.shape[-2:]) < SMALLEST * scale:
        raise OptionError(
            f"The image has {image.shape[-2]}x{image.shape[-1]} pixels; to learn from it alone at "
            f"scale {scale} it needs {SMALLEST * scale}x{SMALLEST * scale}"
        )
    if iterations < 1 or not 0 <= noise < math.inf or scale < 2:
        raise OptionError(
            "iterations must be at least 1, noise not negative and finite, and scale at least 2, "
            f"got {iterations}, {noise} and {scale}"
        )
    if seed < 0:
        raise OptionError(f"seed must not be negative, got {seed}")
    with torch.random.fork_rng(devices=[]):  # the caller's draws stay what they were
        torch.manual_seed(seed)
        if method == "zssr":
            return _zssr(image, scale, iterations, noise / 255, reduction, seed, progress)
        return _deep_image_prior(image, scale, iterations, reduction, progress)


class _Residual(nn.Module):
    """What ZSSR learns: eight convolutions, added to the interpolated image."""

    def __init__(self, channels: int = 64, num_layers: int = 8) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.ReLU()]
        for _ in range(num_layers - 2):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
        last = nn.Conv2d(channels, 3, 3, padding=1)
        nn.init.zeros_(last.weight)  # so it starts as interpolation
        nn.init.zeros_(last.bias)  # type: ignore[arg-type] # a convolution with a bias
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _zssr(
    image: Tensor,
    scale: int,
    iterations: int,
    noise: float,
    reduction: Reduction,
    seed: int,
    progress: Callable[[int, float], object],
    crop: int = 128,
) -> Tensor:
    father = image[None].float()
    rng = np.random.default_rng(seed)
    network = _Residual()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations, 1e-6)
    for iteration in range(iterations):
        target = _random_square(father, crop // scale * scale, scale, rng)
        son = reduction(target, scale)
        son = son + noise * torch.randn_like(son)
        loss = (network(_enlarged(son, scale)) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(iteration, float(loss.detach()))
    result = father.new_zeros(1, 3, *(side * scale for side in father.shape[-2:]))

    def run(turned: Tensor, out: Tensor) -> None:
        out.copy_(network(_enlarged(turned, scale)))

    with torch.inference_mode():
        self_ensemble(run, father, result)
        result = _back_projected(result, father, scale, reduction)
    return result[0].clamp(0, 1)


def _enlarged(image: Tensor, scale: int) -> Tensor:
    return imresize(image, scale)


def _random_square(image: Tensor, side: int, multiple: int, rng: np.random.Generator) -> Tensor:
    """Cut a random square of a multiple of some pixels out of an image, flipped and turned."""
    side = min(side, *(length // multiple * multiple for length in image.shape[-2:]))
    top, left = (int(rng.integers(length - side + 1)) for length in image.shape[-2:])
    square = image[..., top : top + side, left : left + side]
    square = torch.rot90(square, int(rng.integers(4)), (-2, -1))
    return square.flip(-1) if rng.integers(2) else square


def _back_projected(result: Tensor, image: Tensor, scale: int, reduction: Reduction) -> Tensor:
    """Correct a result by what its reduction lacks of the image, as ZSSR does in the end."""
    for _ in range(2):
        result = result + _enlarged(image - reduction(result, scale), scale)
    return result


class _Hourglass(nn.Module):
    """An image out of noise: down and up through five sizes, with narrow skips."""

    def __init__(self, inputs: int, channels: int = 64, skip: int = 4, depth: int = 5) -> None:
        super().__init__()
        widths = [inputs, *[channels] * depth]
        self.down = nn.ModuleList(
            nn.Sequential(*_block(widths[i], channels, stride=2), *_block(channels, channels))
            for i in range(depth)
        )
        self.skips = nn.ModuleList(
            nn.Sequential(*_block(widths[i], skip, kernel_size=1)) for i in range(depth)
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(channels + skip),
                *_block(channels + skip, channels),
                *_block(channels, channels, kernel_size=1),
            )
            for _ in range(depth)
        )
        self.out = nn.Conv2d(channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for down, skip in zip(self.down, self.skips, strict=True):
            kept.append(skip(x))
            x = down(x)
        for up in self.up:
            aside = kept.pop()
            x = F.interpolate(x, aside.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat((x, aside), dim=1))
        return torch.sigmoid(self.out(x))


def _block(
    inputs: int, outputs: int, *, kernel_size: int = 3, stride: int = 1
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(
        inputs, outputs, kernel_size, stride, kernel_size // 2, padding_mode="reflect"
    )
    return convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)


def _deep_image_prior(
    image: Tensor,
    scale: int,
    iterations: int,
    reduction: Reduction,
    progress: Callable[[int, float], object],
    inputs: int = 32,
    jitter: float = 0.03,
    smoothing: float = 0.98,
) -> Tensor:
    target = image[None].float()
    height, width = (side * scale for side in target.shape[-2:])
    multiple = 32  # of the hourglass's five halvings
    padded = [math.ceil(side / multiple) * multiple for side in (height, width)]
    start = 0.1 * torch.rand(1, inputs, *padded)
    network = _Hourglass(inputs)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    mean: Tensor | None = None
    for iteration in range(iterations):
        noisy = start + jitter * torch.randn_like(start)
        output = network(noisy)[..., :height, :width]
        loss = (reduction(output, scale) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        now = output.detach()
        mean = now if mean is None else smoothing * mean + (1 - smoothing) * now
        progress(iteration, float(loss.detach()))
    assert mean is not None  # there is at least one iteration
    return mean[0].clamp(0, 1)


def zero_shot_file(source: Path, target: Path, scale: int, **options: Any) -> None:
    """Enlarge an image file by learning from it alone; transparency is enlarged bicubically.

    Args:
        source: The image.
        target: The file to write, or a folder for one of the same name; it keeps the image's depth
            and metadata.
        scale: Upscaling factor.
        **options: Of `zero_shot`.

    Raises:
        ImageReadError: The image cannot be read.
        ImageWriteError: The result cannot be written.
        OptionError: As for `zero_shot`; or the result would replace the image.
    """
    from sr_zoo.imaging import read_image, write_image
    from sr_zoo.imaging.folder import plan

    picture = read_image(source)
    (job,) = plan([source], target)
    make_writable(job.target.parent, error=ImageWriteError)
    rgb = torch.from_numpy(picture.to_rgb().copy()).movedim(-1, 0).clamp(0, 1)
    result = zero_shot(rgb, scale, **options).movedim(0, -1).numpy()
    alpha = picture.to_alpha()
    enlarged = picture.with_rgb(result, None if alpha is None else imresize(alpha, scale))
    write_image(enlarged, job.target)
