"""Every measure that a report can have, under the name that says what it is.

Those beyond PSNR and SSIM come from `piq` (the extra ``sr_zoo[eval]``). All see 8-bit RGB with
`shave` pixels cut off each border.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from sr_zoo.errors import DownloadError, OptionError, did_you_mean
from sr_zoo.evaluation.metrics import (
    PEAK,
    Image,
    luminance,
    psnr_rgb,
    psnr_y,
    shaved_pixels,
    ssim_rgb,
    ssim_y,
)

Function = Callable[..., float]  # (result, reference, *, shave) -> score

MS_SSIM_SIDE = 161  # five scales of an 11 x 11 window
SAFE_LOADING = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch's own switch
DEFAULT = ("psnr_y", "ssim_y")


@dataclass(frozen=True)
class Measure:
    """A number that says how good an image is.

    Attributes:
        name: As in reports and on the command line.
        function: Called with the result, the HR image and `shave`.
        higher_is_better: Whether more of it is better.
        decimals: As papers print it.
        summary: One line on what it is.
    """

    name: str
    function: Function
    higher_is_better: bool
    decimals: int
    summary: str


def measures(names: Iterable[str]) -> list[Measure]:
    """Return measures by name.

    Raises:
        OptionError: A name is not known.
    """
    chosen = []
    for name in names:
        if name not in MEASURES:
            raise OptionError(
                f"Unknown measure {name!r}.{did_you_mean(name, MEASURES)} "
                f"Known are {', '.join(MEASURES)}."
            )
        chosen.append(MEASURES[name])
    return chosen


def gmsd(a: Image, b: Image, *, shave: int) -> float:
    """Gradient magnitude similarity deviation (Xue et al., 2014) of the luminance; 0 is best."""
    return float(_piq().gmsd(*_unit_range(a, b, shave), data_range=1.0))


def fsim(a: Image, b: Image, *, shave: int) -> float:
    """Feature similarity (Zhang et al., 2011) of the luminance; 1 is best."""
    return float(_piq().fsim(*_unit_range(a, b, shave), data_range=1.0, chromatic=False))


def fsimc(a: Image, b: Image, *, shave: int) -> float:
    """Feature similarity with colour (Zhang et al., 2011); 1 is best."""
    return float(_piq().fsim(*_unit_range(a, b, shave), data_range=1.0, chromatic=True))


def ms_ssim_y(a: Image, b: Image, *, shave: int) -> float:
    """Multi-scale structural similarity (Wang et al., 2003) of Y in studio swing; 1 is best.

    Raises:
        OptionError: Less than 161 x 161 pixels are left for its five scales.
    """
    planes = (luminance(x)[None] / PEAK for x in shaved_pixels(a, b, shave, MS_SSIM_SIDE))
    return float(_piq().multi_scale_ssim(*planes, data_range=1.0))


def lpips(a: Image, b: Image, *, shave: int) -> float:
    """Learned perceptual distance (Zhang et al., 2018) on VGG-16 features; 0 is best."""
    return _distance("LPIPS", a, b, shave)


def dists(a: Image, b: Image, *, shave: int) -> float:
    """Structure and texture distance (Ding et al., 2020) on VGG-16 features; 0 is best."""
    return _distance("DISTS", a, b, shave)


def brisque(a: Image, b: Image, *, shave: int) -> float:
    """Naturalness of `a` alone (Mittal et al., 2012); the reference is not looked at; 0 is best."""
    image, _ = _unit_range(a, b, shave, torch.float32)
    function = _piq().brisque
    with _fetching("BRISQUE"), _defined("BRISQUE"):
        return float(function(image, data_range=1.0))


def _distance(name: str, a: Image, b: Image, shave: int) -> float:
    images = _unit_range(a, b, shave, torch.float32)
    with _fetching(name):
        network = _network(name)
    with _defined(name):
        return float(network(*images))


def _unit_range(
    a: Image, b: Image, shave: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    first, second = shaved_pixels(a, b, shave)
    return (first[None] / PEAK).to(dtype), (second[None] / PEAK).to(dtype)


def _piq() -> Any:
    try:
        return import_module("piq")
    except ImportError:
        raise OptionError(
            "This measure needs piq, which is not installed: pip install 'sr_zoo[eval]'."
        ) from None


@cache
def _network(name: str) -> Callable[..., Tensor]:
    network: Callable[..., Tensor] = getattr(_piq(), name)()
    return network


@contextmanager
def _defined(name: str) -> Iterator[None]:
    """Guard what `piq` cannot compute on every image, such as a flat or a tiny one."""
    try:
        yield
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise OptionError(f"{name} is not defined on this image: {reason}") from error


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    """Guard a measure whose weights `piq` fetches on first use.

    Its own loading would run code that a file contains; torch is told to unpickle tensors only.
    """
    before = os.environ.get(SAFE_LOADING)
    os.environ[SAFE_LOADING] = "1"
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{name} needs weights that piq fetches on first use, and they could not be fetched "
            f"({error}). Connect once, or measure without it."
        ) from error
    finally:
        if before is None:
            del os.environ[SAFE_LOADING]
        else:
            os.environ[SAFE_LOADING] = before


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("psnr_y", psnr_y, True, 2, "PSNR of BT.601 luminance, dB"),
        Measure("ssim_y", ssim_y, True, 4, "SSIM of BT.601 luminance"),
        Measure("psnr_rgb", psnr_rgb, True, 2, "PSNR of all three channels, dB"),
        Measure("ssim_rgb", ssim_rgb, True, 4, "SSIM, mean of the channels"),
        Measure("ms_ssim_y", ms_ssim_y, True, 4, "multi-scale SSIM of BT.601 luminance"),
        Measure("gmsd", gmsd, False, 4, "gradient magnitude similarity deviation"),
        Measure("fsim", fsim, True, 4, "feature similarity of luminance"),
        Measure("fsimc", fsimc, True, 4, "feature similarity with colour"),
        Measure("lpips", lpips, False, 4, "learned perceptual distance, VGG-16"),
        Measure("dists", dists, False, 4, "structure and texture distance, VGG-16"),
        Measure("brisque", brisque, False, 2, "naturalness without reference"),
    )
}
