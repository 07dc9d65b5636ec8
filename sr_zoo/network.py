"""The base class of every network in the library, and the contract it stands for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, SupportsFloat

import torch
from torch import Tensor, nn

from sr_zoo.blocks import Interpolation, YCbCr
from sr_zoo.blocks.constants import Constants
from sr_zoo.blocks.hooked import is_watched
from sr_zoo.blocks.strips import may_cut, whole_maps
from sr_zoo.errors import ImageFormatError


@dataclass(frozen=True)
class Identity:
    """Which model of the library a network is.

    Attributes:
        name: Model name as in the registry.
        arguments: Everything its constructor was called with, defaults resolved, `scale` included:
            calling the network's class with them builds the same network.
        fused: Whether the network has gone through `sr_zoo.fuse` since it was built.
    """

    name: str
    arguments: dict[str, Any]
    fused: bool = False


class SRNetwork(Constants):
    """A super-resolution network: RGB in, the same picture `scale` times larger out.

    Subclasses keep one contract. `forward` takes a float tensor (N, 3, H, W), RGB in [0, 1], any
    N, H, W >= 1, and returns (N, 3, scale*H, scale*W), not clamped unless the network's authors end
    it so. Mean shifts, other value ranges, padding and cropping happen inside. The images of a
    batch never influence each other, and evaluation mode is deterministic.

    Attributes:
        scale: Upscaling factor.
        least_side: Shorter sides are first made this long by repeating the last row and column.
        least_batch: Images that a process needs to train on at once.
        in_strips: Whether nearly all layers run strip by strip, so that few maps exist as a whole.
        identity: Name and resolved arguments; set by `sr_zoo.create_model`, None on a network that
            was built by calling its class.
    """

    least_side: int = 1
    least_batch: int = 1
    in_strips: bool = False

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.identity: Identity | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Run `forward`, unless it would take what the tensor holds for something else.

        Of the tensor, only what every traced program has fixed is looked at, so that nothing of it
        is left there. Hooks on layers see whole maps, also where maps would be cut otherwise.

        Raises:
            ImageFormatError: The tensor is not (N, 3, H, W), or not of floating point.
        """
        if isinstance(x, Tensor) and not (x.ndim == 4 and x.is_floating_point()):
            raise ImageFormatError(
                "A network takes floating-point tensors (N, 3, H, W), RGB in [0, 1], got "
                f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}; x[None] makes "
                "one image a batch, x.float() / 255 brings 8 bits into this range, and "
                "sr_zoo.upscale takes all kinds of images"
            )
        if isinstance(x, Tensor) and may_cut(x) and is_watched(self):
            with whole_maps():
                return super().__call__(x)
        return super().__call__(x)

    @classmethod
    def budgets(cls) -> dict[str, str]:
        """Return the kinds of budget that the network takes; empty if it always does the same."""
        return {}

    def calibration(self) -> dict[str, Any]:
        """Return what was measured on images for the network to decide by, as JSON data.

        `save_pretrained` writes it with the weights; empty if there is nothing.
        """
        return {}

    def calibrate(self, measured: dict[str, Any]) -> None:  # most networks decide nothing
        """Decide by what `calibration` of a network of the same arguments has given."""

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        license: str | None = None,
        trained_on: str | tuple[str, ...] = (),
        metrics: Mapping[str, Mapping[str, SupportsFloat]] | None = None,
    ) -> None:
        """Write the network so that `sr_zoo.load_model(folder)` builds it again.

        Args:
            folder: Made if it does not exist.
            license: SPDX identifier of the weights, or None if there is none to state.
            trained_on: Data sets, or the one.
            metrics: Data set to ``{"psnr_y": dB, "ssim_y": ...}``; the model card states them.

        Raises:
            ModelArgumentError: The network does not know which model it is, or a measure is none
                that model cards state, or a score no number.
            FileWriteError: The folder cannot be written to, or the disk is full.
        """
        from sr_zoo.weights.card import Facts
        from sr_zoo.weights.hub import save_pretrained

        save_pretrained(self, folder, Facts.given(license, trained_on, metrics))

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool = False,
        license: str | None = None,
        trained_on: str | tuple[str, ...] = (),
        metrics: Mapping[str, Mapping[str, SupportsFloat]] | None = None,
    ) -> str:
        """Upload the network to a repository of the Hub; return what `load_model` takes.

        Args:
            repo: ``"owner/name"``, made if it does not exist.
            private: Whether a new repository is for its owner only.
            license: As for `save_pretrained`, and so the rest.
            trained_on: Data sets, or the one.
            metrics: Scores by data set.

        Raises:
            UploadError: The Hub is out of reach, or refuses.
        """
        from sr_zoo.weights.card import Facts
        from sr_zoo.weights.hub import push_to_hub
        from sr_zoo.weights.manifest import ON_HUB

        facts = Facts.given(license, trained_on, metrics)
        return f"{ON_HUB}{repo}@{push_to_hub(self, repo, facts, private=private)}"


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network's weights; the CPU if it has none."""
    return weight_of(network).device


def weight_of(network: nn.Module) -> Tensor:
    """Return one of a network's tensors, which has the type and the device that images must have.

    A fixed kernel counts where nothing is learned; an empty float32 on the CPU stands for nothing.
    """
    tensors = chain(network.parameters(), network.buffers())
    nothing = torch.empty(0, dtype=torch.float32, device="cpu")
    return next((tensor for tensor in tensors if tensor.is_floating_point()), nothing)


class LuminanceNetwork(SRNetwork):
    """A network that super-resolves luminance alone; chroma is enlarged bicubically.

    The contract is the same: RGB in, RGB out. In place of RGB, luminance as (N, 1, H, W) is taken
    too and comes back as (N, 1, scale*H, scale*W), for video that is stored in planes.
    """

    def __init__(self, scale: int) -> None:
        super().__init__(scale)
        self.colors = YCbCr()
        self.chroma = Interpolation(scale)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] == 1:
            return self.enlarge(x)
        luminance, chroma = self.colors(x).split((1, 2), dim=1)
        enlarged = torch.cat((self.enlarge(luminance), self.chroma(chroma)), dim=1)
        return self.colors.restore(enlarged)

    @abstractmethod
    def enlarge(self, luminance: Tensor) -> Tensor:
        """Super-resolve luminance in [0, 1], black at 16/255 and white at 235/255.

        Args:
            luminance: (N, 1, H, W).

        Returns:
            (N, 1, scale*H, scale*W).
        """
