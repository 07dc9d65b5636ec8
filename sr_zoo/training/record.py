"""What a run leaves to look at: log, sample pictures, curves, the best network so far."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sr_zoo.api import load_model
from sr_zoo.atomic import make_folder, write_atomically
from sr_zoo.errors import OptionError, TrainingError
from sr_zoo.evaluation.resize import imresize
from sr_zoo.imaging import Picture, write_image
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.network import SRNetwork
from sr_zoo.training.log import Log
from sr_zoo.training.recipe import Recipe
from sr_zoo.training.validation import Validation
from sr_zoo.weights.hub import FILE

SAMPLES = 3  # pictures of a validation
SAMPLE_SIDE = 192  # at most, in HR pixels
RECIPE, LOG, BEST = "recipe.json", "log.csv", "best"


def is_run(folder: Path) -> bool:
    """Whether a run has written to a folder."""
    return all((folder / name).is_file() for name in (RECIPE, LOG))


class Record:
    """The folder of a run, for its first process.

    Attributes:
        validation: Images to validate on, or None.
        best: Highest PSNR that a validation has had, that of the network in `best`.
        best_on: Key of the images of that validation, None before the first.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        losses: Sequence[str],
        validation: Validation | None,
        *,
        until: int,
        tensorboard: bool,
    ) -> None:
        """Prepare a folder.

        Args:
            recipe: What the run follows.
            folder: Where to; it exists.
            losses: Names of its losses.
            validation: Images to validate on, or None.
            until: Iteration that the run goes on from, -1 for none; later lines of the log are
                dropped.
            tensorboard: Whether to write events for TensorBoard too.

        Raises:
            TrainingError: The folder cannot be written.
            OptionError: TensorBoard is not installed.
        """
        self.validation = validation
        self.folder = folder
        text = json.dumps(recipe.to_mapping(), indent=1) + "\n"
        write_atomically(folder / RECIPE, text.encode(), error=TrainingError)
        columns = (*(f"loss_{name}" for name in losses), "psnr_y", "ssim_y", "seconds")
        self.log = Log(folder / LOG, ("iteration", "lr", "loss", *columns), until=until)
        self.best = -math.inf
        self.best_on: str | None = None
        self._events = _events(folder, until) if tensorboard else None

    def write(self, line: dict[str, float]) -> None:
        """Write a line of the log, which names its iteration."""
        self.log.append(line)
        if self._events is not None:
            for name, value in line.items():
                self._events.add_scalar(name, value, line["iteration"])

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up the best score of a run's state, where the network that has it is still there."""
        if math.isfinite(state["best"]) and (self.folder / BEST / FILE).is_file():
            self.best = state["best"]
            self.best_on = state.get("best_on", "")  # not told by the first versions: of others

    def measure_best(self, device: torch.device) -> bool:
        """Measure the best network so far anew if it was measured on other images; say if so."""
        if self.validation is None or self.best_on in (None, self.validation.key):
            return False
        network = load_model(self.folder / BEST, device=device)
        self.best, self.best_on = self.validation.measure(network)["psnr_y"], self.validation.key
        return True

    def validate(self, network: SRNetwork, iteration: int) -> dict[str, float]:
        """Measure a network, keep it if it is the best so far, and write sample pictures."""
        if self.validation is None:
            return {}
        scores = self.validation.measure(network)
        if scores["psnr_y"] > self.best:
            network.save_pretrained(self.folder / BEST)
            self.best, self.best_on = scores["psnr_y"], self.validation.key
        folder = self.folder / "samples"
        make_folder(folder)
        device = next(network.parameters()).device
        upscaler = Upscaler(network, device=device, tile=None)
        for sample in self.validation.datasets[0].samples[:SAMPLES]:
            lr, hr = _middle(*sample.read(), network.scale)
            pictures: list[Any] = [imresize(lr, network.scale), upscaler(lr), hr]
            write_image(
                Picture(np.concatenate(pictures, axis=1)),
                folder / f"{sample.name}_{iteration:07d}.png",
            )
        return scores

    def close(self) -> None:
        """Draw the curves, where matplotlib is installed."""
        if self._events is not None:
            self._events.close()
        try:
            import matplotlib as _  # noqa: F401
        except ImportError:
            return
        from sr_zoo.training.curve import draw_curve

        draw_curve(self.log.rows, self.folder / "curve.png")


def _middle(lr: Any, hr: Any, scale: int) -> tuple[Any, Any]:
    """Return the same square from the middle of both images."""
    side = min(*lr.shape[:2], SAMPLE_SIDE // scale)
    top, left = ((length - side) // 2 for length in lr.shape[:2])
    square = (slice(top, top + side), slice(left, left + side))
    large = tuple(slice(part.start * scale, part.stop * scale) for part in square)
    return lr[square], hr[large]


def _events(folder: Path, until: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise OptionError(
            "TensorBoard is not installed: pip install 'sr_zoo[train]', or leave out --tensorboard "
            "(log.csv has the same numbers)"
        ) from None
    return SummaryWriter(folder / "tensorboard", purge_step=until + 1)
