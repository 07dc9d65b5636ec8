"""Images of any kind in, larger images of the same kind out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_zoo.devices import made_on_cpu, pick_device
from sr_zoo.dynamic import Budget
from sr_zoo.errors import ImageFormatError, OptionError
from sr_zoo.evaluation.resize import imresize
from sr_zoo.fusion import fuse
from sr_zoo.imaging.color import bleed
from sr_zoo.imaging.formats import format_like
from sr_zoo.imaging.picture import Picture
from sr_zoo.imaging.pil import from_pil, to_pil
from sr_zoo.imaging.read import read_image
from sr_zoo.imaging.write import encode_image
from sr_zoo.inference.budget import BudgetRunner, Report
from sr_zoo.inference.enlarger import Enlarger
from sr_zoo.inference.memory import check_room
from sr_zoo.inference.networks import find_network
from sr_zoo.inference.pixels import Brightness, Planes, check_finite, from_array, to_array
from sr_zoo.inference.runtimes import RUNTIMES, Choice, choose
from sr_zoo.inference.runtimes.exported import ExportedNetwork
from sr_zoo.inference.runtimes.precision import pick_dtype
from sr_zoo.inference.size import Size, is_count, runs_needed
from sr_zoo.inference.tiling import Cuttable, Tiling
from sr_zoo.network import SRNetwork, weight_of

ALPHA = ("bicubic", "model")
Pixels = TypeVar("Pixels", bound=np.generic)


class Upscaler:
    """A network with everything around it that real images need; call it on one image or many.

    Tiles bound the memory. Where the network is local, tiled output equals untiled output; where
    some layer averages over the whole image, the averages are gathered over all tiles first
    (`exact_passes`) and the output is close to the untiled one.

    Threads may share one, and it can be sent to other processes, started by ``"spawn"``: in a
    forked one PyTorch waits forever if it ran on several threads before.

    Args:
        model: A model name, manifest id, weight file, ``"hf-hub:owner/repo"``, a network, a file of
            `export_model`, or None for the best bundled network at that scale. It is run in its
            deployed form (`sr_zoo.fuse`); a network that is given is copied, not changed.
        scale: Upscaling factor; None for the network's own (4 where a name leaves it open). The
            network is run as often as it takes to reach a factor, then its output is reduced by an
            antialiased filter.
        device: ``"auto"`` for CUDA where present, or any torch device.
        dtype: Floating-point type to compute in: ``"auto"`` for the fastest that this device
            computes natively and that costs this model no more than 0.01 dB (the mean over Set14),
            and float32 for pixels of more than 8 bits, which lower types would round; else a type,
            its name, or None for that of the network.
        runtime: ``"torch"``, ``"compile"`` (`torch.compile`), ``"openvino"``, ``"onnxruntime"``
            or ``"ncnn"``, which export the network once and keep it on disk, or ``"auto"`` for the
            fastest that is ready. `runtime_reason` says what was taken, and why.
        tile: Side of the tiles in LR pixels, without halo; ``"auto"`` to fit the memory, None for
            never.
        exact_passes: Passes over the image that gather its averages before tiles are upscaled, for
            networks that need it; None for what brings the network within a level of 8 bits. 0
            leaves each tile its own averages and saves the time.
        budget: What a dynamic network may spend on each image: ``"auto"`` (as it decides itself), a
            share of its full multiply-adds such as 0.5, ``"20 GMACs"``, ``"300 ms"``, or what
            `ModelInfo.budgets` lists; in float32, and for one run of the network, so not along with
            a self-ensemble, opacity by the model, or outputs that take several runs. None for the
            full mode.
        self_ensemble: Whether to average over the eight flips and rotations of the image, for
            somewhat better results in eight times the time.
        width: Of the outputs in pixels, instead of `scale`.
        height: Likewise.
        fit: Width and height of a box to fit the outputs into, instead of `scale`.
        alpha: What enlarges opacity: ``"bicubic"`` interpolation, or the ``"model"`` itself.

    Raises:
        OptionError: An option is outside its range, or contradicts another.
        SRZooError: See `create_model` and `load_model`.
    """

    @made_on_cpu
    def __init__(
        self,
        model: str | Path | SRNetwork | None = None,
        scale: float | None = None,
        *,
        device: str | torch.device = "auto",
        dtype: torch.dtype | str | None = "auto",
        runtime: str = "auto",
        tile: int | str | None = "auto",
        exact_passes: int | None = None,
        budget: Budget | float | str | None = None,
        self_ensemble: bool = False,
        width: int | None = None,
        height: int | None = None,
        fit: tuple[int, int] | None = None,
        alpha: str = "bicubic",
    ) -> None:
        size = Size(scale, width, height, fit)
        _check_options(runtime, tile, exact_passes, alpha)
        network = find_network(model, scale)
        if device == "auto" and isinstance(network, ExportedNetwork):
            device = "cpu"
        chosen_device = pick_device(device)
        network = fuse(network).to(chosen_device)
        if budget is not None:
            if self_ensemble or alpha == "model":
                what = "self_ensemble" if self_ensemble else "alpha='model'"
                raise OptionError(
                    f"A budget is for one run of the network, and {what} takes more; leave one out"
                )
            network = network.float()
        chosen_dtype = pick_dtype(dtype, network, chosen_device, runtime)
        self.network = network
        self.size = size
        self._spender = None if budget is None else BudgetRunner(network, budget)
        if self._spender is not None:
            if runtime not in ("auto", "torch"):
                raise OptionError(
                    f"A budget is kept in PyTorch, not by runtime={runtime!r}; leave the runtime "
                    "at 'auto', or the budget out"
                )
            runtime, chosen_dtype = "torch", torch.float32
        runners = choose(network, runtime, chosen_dtype)  # lays the weights out, too
        if self._spender is not None:
            reason = "the budget decides what is computed, in float32"
            runners = Choice(self._spender, self._spender, self._spender, reason)
        self.budget = None if self._spender is None else self._spender.budget
        self.tile = tile
        self.exact_passes = exact_passes
        self.self_ensemble = self_ensemble
        self.alpha = alpha
        self._run_by(runners, chosen_dtype)
        self._exact = self
        picked = isinstance(dtype, str) and dtype == "auto"
        if picked and chosen_dtype != weight_of(network).dtype:
            exact = copy.copy(self)
            exact._run_by(runners.in_float32, torch.float32)
            self._exact = exact._exact = exact

    def _run_by(self, runners: Choice, dtype: torch.dtype) -> None:
        self.runtime = runners.whole.name
        self.dtype = str(dtype).removeprefix("torch.")
        self._enlarger = Enlarger(
            self.network,
            runners,
            self.tile,
            exact_passes=self.exact_passes,
            turned=self.self_ensemble,
        )

    def suited_to(self, pixels: object) -> Upscaler:
        """Return what upscales pixels of a type: this one, or its like in float32.

        The latter for more than 8 bits a channel, where ``dtype="auto"`` chose a type that holds
        no more than 8 to 11.

        Args:
            pixels: Their type, of NumPy or torch.
        """
        return self if pixels in (np.uint8, torch.uint8) else self._exact

    @property
    def runtime_reason(self) -> str:
        """What runs the network, in which type, and why, in one sentence."""
        deep = "" if self._exact is self else "; images of more than 8 bits by torch in float32"
        return self._enlarger.runners.reason + deep

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the output for an image of this height and width.

        Raises:
            OptionError: The image would have to grow more than 64 times.
        """
        return self.size.of(height, width, self.network.scale)

    @property
    def report(self) -> Report:
        """What the last image took of its budget.

        Raises:
            OptionError: No budget was given.
        """
        if self._spender is None:
            raise OptionError(
                "There is a report only where a budget was given: Upscaler(budget=...)"
            )
        return self._spender.report

    @overload
    def __call__(
        self, image: str | Path | Image.Image, *, progress: bool = False
    ) -> Image.Image: ...

    @overload
    def __call__(self, image: bytes, *, progress: bool = False) -> bytes: ...

    @overload
    def __call__(self, image: NDArray[Pixels], *, progress: bool = False) -> NDArray[Pixels]: ...

    @overload
    def __call__(self, image: Tensor, *, progress: bool = False) -> Tensor: ...

    @made_on_cpu
    def __call__(
        self,
        image: str | Path | bytes | Image.Image | NDArray[Any] | Tensor,
        *,
        progress: bool = False,
    ) -> bytes | Image.Image | NDArray[Any] | Tensor:
        """Upscale one image.

        Args:
            image: The path of an image file, the bytes of one, a PIL image, a numpy array (H, W),
                (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or floating point in [0, 1], or a
                tensor (C, H, W) or (N, C, H, W) with C of 1, 3 or 4 of the same types. Of a file's
                frames or pages the first is taken; `upscale_files` takes all.
            progress: Whether to show a progress bar when the image takes several tiles.

        Returns:
            The same kind as `image`, at `output_size`; a PIL image for a path, bytes of
            the same file format (PNG where that cannot be written) for bytes. Alpha, bit depth,
            colour profile and metadata are kept.

        Raises:
            ImageReadError: The file is missing, damaged or no image.
            ImageFormatError: The image has a type, shape or range that is not supported.
        """
        if isinstance(image, (str, Path)):
            return to_pil(self.picture(read_image(image), progress=progress))
        if isinstance(image, bytes):
            picture = self.picture(read_image(image), progress=progress)
            return encode_image(picture, format_like(picture.metadata.format))
        if isinstance(image, np.ndarray):
            return to_array(self._tensor(from_array(image), progress), image.ndim)
        if isinstance(image, Tensor):
            return self._tensor(image, progress)
        if isinstance(image, Image.Image):
            return to_pil(self.picture(from_pil(image), progress=progress))
        raise ImageFormatError(
            f"Cannot upscale a {type(image).__name__}; give a path, bytes, PIL image, numpy "
            "array or tensor"
        )

    @made_on_cpu
    def picture(self, picture: Picture, *, progress: bool = False) -> Picture:
        """Upscale a decoded image file; see `sr_zoo.imaging`.

        Floating-point pixels may be brighter than 1; see `sr_zoo.inference.pixels.Brightness`.

        Raises:
            ImageFormatError: A pixel is no finite number.
            OutOfMemoryError: The output is more than the memory can hold.
        """
        check_room(*self.output_size(*picture.size))
        suited = self.suited_to(picture.pixels.dtype)
        colors, alpha = picture.to_rgb(), picture.to_alpha()
        check_finite(colors)
        if alpha is not None:
            colors = bleed(colors, alpha)
        brightness = Brightness.of(colors)
        rgb = torch.tensor(brightness.to_unit_range(colors)).permute(2, 0, 1)[None]
        upscaled = suited.tensor(rgb, progress=progress)[0].permute(1, 2, 0).numpy()
        upscaled = brightness.restore(upscaled)
        if alpha is not None:
            alpha = suited._alpha(torch.tensor(alpha)[None, None], progress)[0, 0].numpy()
        return picture.with_rgb(upscaled, alpha)

    @made_on_cpu
    @torch.no_grad()  # not inference mode, whose tensors nothing can be trained against
    def tensor(self, rgb: Tensor, *, progress: bool = False) -> Tensor:
        """Upscale RGB tensors, in the type that was chosen for 8 bits; see `suited_to`.

        Args:
            rgb: (N, 3, H, W), floating point in [0, 1], on any device.
            progress: As in `__call__`.

        Returns:
            (N, 3, *output_size(H, W)), float32 in [0, 1], on the CPU.
        """
        size = self.output_size(*rgb.shape[-2:])
        enlarged = rgb
        runs = runs_needed((rgb.shape[-2], rgb.shape[-1]), size, self.network.scale)
        if self._spender is not None and runs > 1:
            raise OptionError(
                f"A budget is for one run of the network, and an output of {size[1]}x{size[0]} "
                f"pixels takes {runs}; ask for x{self.network.scale} at most, or leave it out"
            )
        for _ in range(runs):
            enlarged = self._enlarger(enlarged, progress=progress)
        if enlarged.shape[-2:] != size:
            return imresize(enlarged.float().cpu(), size=size).clamp_(0, 1)
        return rgb.float().cpu().clamp(0, 1) if enlarged is rgb else enlarged

    def run_tiled(
        self,
        image: Cuttable,
        tiling: Tiling,
        write: Callable[[tuple[int, int], Tensor], None],
        advance: Callable[[int], object],
    ) -> None:
        """Run the network once, tile by tile; see `sr_zoo.inference.tiling.run_tiled`."""
        self._enlarger.run_tiled(image, tiling, write, advance)

    def tiling(self) -> Tiling:
        """Return how images that are too large for one piece are cut, as far as is known by now.

        Raises:
            OptionError: Nothing is known of the network.
        """
        return self._enlarger.tiling()

    def _alpha(self, alpha: Tensor, progress: bool) -> Tensor:
        """Enlarge opacity (N, 1, H, W) in [0, 1]."""
        if self.alpha == "model":
            return self.tensor(alpha.expand(-1, 3, -1, -1), progress=progress).mean(1, keepdim=True)
        return imresize(alpha.cpu(), size=self.output_size(*alpha.shape[-2:])).clamp(0, 1)

    def _tensor(self, image: Tensor, progress: bool) -> Tensor:
        suited = self.suited_to(image.dtype)
        planes = Planes.of(image)
        color = suited.tensor(planes.color, progress=progress)
        alpha = None if planes.alpha is None else suited._alpha(planes.alpha, progress)
        return planes.like_image(color, alpha)


def _check_options(runtime: object, tile: object, exact_passes: object, alpha: object) -> None:
    if not isinstance(runtime, str):
        raise OptionError(f"runtime must be one of {', '.join(RUNTIMES)}, got {runtime!r}")
    named = tile is None or (isinstance(tile, str) and tile == "auto")  # no array compared
    if not (named or is_count(tile, least=1)):
        raise OptionError(f"tile must be 'auto', None or a number of pixels, got {tile!r}")
    if exact_passes is not None and not is_count(exact_passes, least=0):
        raise OptionError(f"exact_passes must be a count from 0 on, got {exact_passes!r}")
    if not (isinstance(alpha, str) and alpha in ALPHA):
        raise OptionError(f"alpha must be one of {', '.join(ALPHA)}, got {alpha!r}")


@overload
def upscale(
    image: str | Path | Image.Image,
    scale: float | None = ...,
    model: str | Path | SRNetwork | None = ...,
    *,
    device: str | torch.device = ...,
    dtype: torch.dtype | str | None = ...,
    runtime: str = ...,
    tile: int | str | None = ...,
    width: int | None = ...,
    height: int | None = ...,
    fit: tuple[int, int] | None = ...,
    progress: bool = ...,
) -> Image.Image: ...


@overload
def upscale(
    image: bytes,
    scale: float | None = ...,
    model: str | Path | SRNetwork | None = ...,
    *,
    device: str | torch.device = ...,
    dtype: torch.dtype | str | None = ...,
    runtime: str = ...,
    tile: int | str | None = ...,
    width: int | None = ...,
    height: int | None = ...,
    fit: tuple[int, int] | None = ...,
    progress: bool = ...,
) -> bytes: ...


@overload
def upscale(
    image: NDArray[Pixels],
    scale: float | None = ...,
    model: str | Path | SRNetwork | None = ...,
    *,
    device: str | torch.device = ...,
    dtype: torch.dtype | str | None = ...,
    runtime: str = ...,
    tile: int | str | None = ...,
    width: int | None = ...,
    height: int | None = ...,
    fit: tuple[int, int] | None = ...,
    progress: bool = ...,
) -> NDArray[Pixels]: ...


@overload
def upscale(
    image: Tensor,
    scale: float | None = ...,
    model: str | Path | SRNetwork | None = ...,
    *,
    device: str | torch.device = ...,
    dtype: torch.dtype | str | None = ...,
    runtime: str = ...,
    tile: int | str | None = ...,
    width: int | None = ...,
    height: int | None = ...,
    fit: tuple[int, int] | None = ...,
    progress: bool = ...,
) -> Tensor: ...


def upscale(
    image: str | Path | bytes | Image.Image | NDArray[Any] | Tensor,
    scale: float | None = None,
    model: str | Path | SRNetwork | None = None,
    *,
    device: str | torch.device = "auto",
    dtype: torch.dtype | str | None = "auto",
    runtime: str = "auto",
    tile: int | str | None = "auto",
    width: int | None = None,
    height: int | None = None,
    fit: tuple[int, int] | None = None,
    progress: bool = False,
) -> bytes | Image.Image | NDArray[Any] | Tensor:
    """Upscale one image; see `Upscaler` for the arguments and `Upscaler.__call__` for the image.

    Several images are faster through one `Upscaler`, which loads its network once.
    """
    upscaler = Upscaler(
        model,
        scale,
        device=device,
        dtype=dtype,
        runtime=runtime,
        tile=tile,
        width=width,
        height=height,
        fit=fit,
    )
    return upscaler(image, progress=progress)
