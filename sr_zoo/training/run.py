"""One training run: the loop, and going on where it was stopped."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from sr_zoo.atomic import make_writable
from sr_zoo.errors import CheckpointError, FileWriteError, OptionError, TrainingError
from sr_zoo.progress import unwatched
from sr_zoo.training.checks import (
    FREE,
    FREE_FOLLOWING,
    check_apart,
    check_batch,
    check_names,
    check_same,
    check_unused,
)
from sr_zoo.training.data import Images, Patches, batches, open_images
from sr_zoo.training.distributed import Processes
from sr_zoo.training.interruption import interruptions
from sr_zoo.training.learner import Learner
from sr_zoo.training.limits import check_warmup
from sr_zoo.training.recipe import Recipe
from sr_zoo.training.record import Record
from sr_zoo.training.state import FILE as STATE
from sr_zoo.training.state import load_state, save_state, save_tensors
from sr_zoo.training.validation import Validation


class Run:
    """A training run, at the iteration where its folder says it is.

    Attributes:
        recipe: What it follows.
        iteration: How many batches it has learned from.
        iterations: How many it will have in the end.
        learner: What learns from them.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        processes: Processes,
        *,
        follows: bool = False,
        quiet: bool = False,
        tensorboard: bool = False,
    ) -> None:
        """Prepare a run, or find the one that a folder holds.

        Args:
            recipe: What it follows.
            folder: Where it writes.
            processes: Those that share its batches.
            follows: Whether it starts from the stage before it, wherever that lies by now.
            quiet: Whether to show no progress.
            tensorboard: Whether to write events for TensorBoard.

        Raises:
            OptionError: The recipe cannot be followed, or the folder is another recipe's.
        """
        self.recipe, self.folder, self.processes = recipe, folder, processes
        self.quiet = quiet or not processes.is_first
        check_names(recipe)  # before thousands of images are decoded
        check_batch(recipe, processes.world)
        check_apart(recipe, folder)
        state = load_state(folder)
        if state is None:
            check_unused(folder)
        check_same(recipe, state, folder, FREE_FOLLOWING if follows else FREE)
        self.learner = Learner(recipe, processes, fresh=state is None, quiet=self.quiet)
        validation = self._prepare_folder() if processes.is_first else None
        self.images = self._open_images()  # the last to fail, since it may take hours
        self.iterations = recipe.iterations or recipe.epochs * math.ceil(
            len(self.images.hr) / recipe.data.batch_size
        )
        check_warmup(recipe.schedule, self.iterations)
        self.iteration = 0
        self._sums: dict[str, float] = defaultdict(float)
        self._summed = 0
        if state:
            self._restore(state)
        self.learner.plan(self.iterations, done=self.iteration)
        self.record = (
            self._open_record(validation, state, tensorboard) if processes.is_first else None
        )
        self._stop = self._stops_all = False

    def _prepare_folder(self) -> Validation | None:
        """Make sure that results can be kept and measured, before long work for them."""
        make_writable(self.folder, error=TrainingError)
        data = self.recipe.data.val
        return Validation(data, self.recipe.scale) if data else None

    def _open_images(self) -> Images:
        """Decode the images in the first process, then read them in all."""
        recipe, first = self.recipe, self.processes.is_first
        bar = iter if self.quiet or unwatched() else tqdm
        images = open_images(recipe.data, recipe.scale, progress=bar) if first else None
        self.processes.wait()
        return images or open_images(recipe.data, recipe.scale)

    def _restore(self, state: dict[str, Any]) -> None:
        images, before = len(self.images.hr), state.get("images")
        if before not in (images, None):  # validation folders inside may have come or gone, too
            raise OptionError(
                f"{self.folder} holds a run that learns from {before} images, and now there are "
                f"{images}; have the folders as they were, or name another output folder"
            )
        self.iteration = state["iteration"]
        self._sums.update(state["sums"])
        self._summed = state["summed"]
        try:
            self.learner.restore(state)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:  # of torch's parts
            raise CheckpointError(
                f"{self.folder / STATE} does not fit what its recipe builds "
                f"({str(error).partition(chr(10))[0]}): it is damaged or of another version of the "
                f"library. Start anew from its weights (--start {self.folder}) in another folder"
            ) from error

    def _open_record(
        self, validation: Validation | None, state: dict[str, Any] | None, tensorboard: bool
    ) -> Record:
        record = Record(
            self.recipe,
            self.folder,
            self.learner.terms,
            validation,
            until=self.iteration if state else -1,
            tensorboard=tensorboard,
        )
        if state:
            record.go_on(state)
        return record

    def finish(self) -> None:
        """Learn from all batches that are left, and give the network.

        Raises:
            TrainingError: The loss is not finite any more, a file cannot be written, or the run
                was interrupted or a validation failed; its state is saved then.
        """
        every, total, last = self.recipe, self.iterations, self.iterations
        started = time.monotonic()
        with (
            interruptions(self._request_stop),
            tqdm(
                total=total,
                initial=self.iteration,
                unit="batch",
                disable=self.quiet or unwatched(),
                dynamic_ncols=True,
            ) as bar,
        ):
            if self.iteration < self.iterations:
                self._prepare_best(bar, started)
            for lr, hr in self.batches():
                self.step(lr, hr)
                bar.update()
                if self._is_due(every.log_every) or self._validates:
                    self._write_log(bar, started)
                if self._is_due(every.save_every) or self._stops:
                    self.save()
                if self._stops and self.iteration < last:
                    raise TrainingError(
                        f"Stopped after iteration {self.iteration} of {last}; the same command "
                        f"goes on from the state in {self.folder}"
                    )
            if self.record is not None:
                self.record.close()
            if self._is_asked_to_stop():
                raise TrainingError(
                    f"Stopped after iteration {last} of {last}, the last; the same command does "
                    "what comes after it, if anything"
                )

    def _prepare_best(self, bar: Any, started: float) -> None:
        """Have a network and its score to compare with, on the images that this run validates on.

        Random weights are none, but those of a recipe to start from may be better than all that
        come after them.
        """
        if self.record is None or self.record.validation is None:
            return
        if self.recipe.start and not self.iteration:
            scores = self._validate(self.record, bar)
            seconds = time.monotonic() - started
            self.record.write({"iteration": 0, **scores, "seconds": seconds})
        changed = self.record.measure_best(self.processes.device)
        if changed and not self.quiet:
            bar.write(f"validated on other images now: best/ has {self.record.best:.3f} dB on them")

    def _is_due(self, period: int) -> bool:
        return self.iteration % period == 0 or self.iteration == self.iterations

    @property
    def _validates(self) -> bool:
        """Whether this process validates after this iteration."""
        given = self.record is not None and self.record.validation is not None
        return given and self._is_due(self.recipe.validate_every)

    @property
    def _stops(self) -> bool:
        """Whether to stop after this iteration, which several processes must agree on."""
        return self._stops_all if self.processes.world > 1 else self._stop

    def _is_asked_to_stop(self) -> bool:
        """Whether a signal has come to any process, of which the last iteration may not know."""
        asked = torch.tensor(float(self._stop), device=self.processes.device)
        return bool(self.processes.mean(asked) > 0)

    def _request_stop(self, *_: object) -> None:
        self._stop = True

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the LR and HR patches of the iterations that are left."""
        recipe, processes = self.recipe, self.processes
        patches = Patches(
            self.images,
            recipe.scale,
            recipe.data,
            recipe.seed,
            total=self.iterations * recipe.data.batch_size,
        )
        for pair in batches(
            patches,
            recipe.data,
            start=self.iteration,
            stop=self.iterations,
            rank=processes.rank,
            world=processes.world,
            pin=processes.device.type == "cuda",
        ):
            yield self.learner.moved(*pair)

    def step(self, lr: Tensor, hr: Tensor) -> None:
        """Learn from one batch.

        Raises:
            TrainingError: The loss is not a finite number; the batch is saved.
        """
        output, losses = self.learner.compare(lr, hr)
        total = torch.stack(list(losses.values())).sum()
        self.learner.timer.mark("losses")
        asked = total.new_tensor(float(self._stop))
        shared = self.processes.mean(torch.stack([total, *losses.values(), asked]).detach())
        if not bool(torch.isfinite(shared).all()):
            means = dict(zip(losses, shared[1:-1], strict=True))
            raise TrainingError(self._keep_batch(lr, hr, means))
        self.learner.learn(total, output, hr, self.iteration)
        self.iteration += 1
        *averaged, stops = shared.tolist()
        self._stops_all = stops > 0
        for name, value in zip(("", *losses), averaged, strict=True):
            self._sums[name] += value
        self._summed += 1

    def _keep_batch(self, lr: Tensor, hr: Tensor, losses: dict[str, Tensor]) -> str:
        """Save the batch at which the loss ceased to be a number; say so."""
        rank = self.processes.rank
        path = self.folder / f"bad_batch_{self.iteration}_{rank}.pt"
        where = f"the batch is in {path}"
        try:
            save_tensors({"lr": lr.cpu(), "hr": hr.cpu()}, path)
        except FileWriteError as error:
            where = f"the batch could not be kept: {error}"
        values = ", ".join(f"{name} {float(value):g}" for name, value in losses.items())
        return (
            f"The loss is not finite at iteration {self.iteration + 1} ({values}); {where}. "
            "The last saved state is good: lower the learning rate, clip gradients "
            "(optimizer.clip_norm), or leave half precision"
        )

    def _write_log(self, bar: Any, started: float) -> None:
        """Write a line of means since the last, with the scores of a validation that is due."""
        if self.record is None:
            return
        means = {name: total / self._summed for name, total in self._sums.items()}
        self._sums.clear()
        self._summed = 0
        line: dict[str, float] = {
            "iteration": self.iteration,
            "lr": float(self.learner.schedule.get_last_lr()[0]),
            "loss": means.pop(""),
            **{f"loss_{name}": value for name, value in means.items()},
        }
        bar.set_postfix(loss=f"{line['loss']:.5f}")
        try:
            if self._validates:
                line |= self._validate(self.record, bar)
        except Exception:
            self.save()  # what was learned is not lost with it
            raise
        finally:
            line["seconds"] = time.monotonic() - started
            self.record.write(line)

    def _validate(self, record: Record, bar: Any) -> dict[str, float]:
        scores = record.validate(self.learner.average, self.iteration)
        if not self.quiet:
            psnr, ssim = scores["psnr_y"], scores["ssim_y"]
            bar.write(f"{self.iteration}: {psnr:.3f} dB, SSIM {ssim:.4f}")
        return scores

    def save(self) -> None:
        """Write the state to go on from, and the network as it is now.

        Raises:
            TrainingError: A weight is not finite, or a file cannot be written.
        """
        if self.record is None:
            return
        if not self.learner.is_finite:
            raise TrainingError(
                f"A weight is not finite after iteration {self.iteration}, so this state is not "
                f"saved; the one before is in {self.folder}. Lower the learning rate or clip "
                "gradients (optimizer.clip_norm)"
            )
        state = {
            "recipe": json.dumps(self.recipe.to_mapping()),
            "images": len(self.images.hr),
            "iteration": self.iteration,
            "best": self.record.best,
            "best_on": self.record.best_on,
            "sums": dict(self._sums),
            "summed": self._summed,
            **self.learner.state(),
        }
        save_state(state, self.folder)
        self.learner.average.save_pretrained(self.folder)
