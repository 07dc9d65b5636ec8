"""One training run: the loop, and going on where it was stopped."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from sr_zoo.api import create_model
from sr_zoo.errors import FileWriteError, OptionError, TrainingError
from sr_zoo.network import SRNetwork
from sr_zoo.progress import unwatched
from sr_zoo.training.adversarial import GAN
from sr_zoo.training.checks import (
    FREE,
    check_apart,
    check_batch,
    check_names,
    check_same,
    check_unused,
)
from sr_zoo.training.data import Images, Patches, batches, open_images
from sr_zoo.training.distillation import Teacher
from sr_zoo.training.distributed import Processes, share_gradients
from sr_zoo.training.losses import Criterion
from sr_zoo.training.optimise import build_optimizer, build_schedule
from sr_zoo.training.profile import Timer
from sr_zoo.training.recipe import Recipe
from sr_zoo.training.record import Record
from sr_zoo.training.state import load_state, save_state, save_tensors
from sr_zoo.training.strategies import build_strategy
from sr_zoo.training.warm_start import warm_start


class Run:
    """A training run, at the iteration where its folder says it is.

    Attributes:
        recipe: What it follows.
        iteration: How many batches it has learned from.
        iterations: How many it will have in the end.
        network: What learns.
        average: Average over the network's past weights; what validates and is given.
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
        self.timer = Timer(processes.device)
        self.quiet = quiet or not processes.is_first
        check_names(recipe)  # before thousands of images are decoded
        check_batch(recipe, processes.world)
        check_apart(recipe, folder)
        state = load_state(folder)
        if state is None:
            check_unused(folder)
        check_same(recipe, state, folder, FREE | {"start"} if follows else FREE)
        self.images = self._open_images()
        self.iterations = recipe.iterations or recipe.epochs * math.ceil(
            len(self.images.hr) / recipe.data.batch_size
        )
        self._build(state is None)
        self.iteration = 0
        self._sums: dict[str, float] = defaultdict(float)
        self._summed = 0
        if state:
            self._restore(state)
        self.schedule = build_schedule(
            recipe.schedule, self.optimizer, self.iterations, done=self.iteration
        )
        self.record = self._open_record(state, tensorboard) if processes.is_first else None
        self._stop = self._stops_all = False

    def _open_images(self) -> Images:
        """Decode the images in the first process, then read them in all."""
        recipe, first = self.recipe, self.processes.is_first
        bar = iter if self.quiet or unwatched() else tqdm
        images = open_images(recipe.data, recipe.scale, progress=bar) if first else None
        self.processes.wait()
        return images or open_images(recipe.data, recipe.scale)

    def _build(self, fresh: bool) -> None:
        recipe, device = self.recipe, self.processes.device
        torch.manual_seed(recipe.seed)
        network = create_model(
            recipe.model, recipe.scale, pretrained=False, **dict(recipe.arguments)
        )
        if recipe.start and fresh:
            missing = warm_start(network, recipe.start)
            if missing and not self.quiet:
                tqdm.write(f"not in {recipe.start}, so drawn anew: {', '.join(missing)}")
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network: SRNetwork = network.to(device).to(memory_format=layout).train()
        self._layout = layout
        self.criterion = Criterion(recipe.losses).to(device)
        self.strategy = build_strategy(recipe.strategy, recipe.model, self.network).to(device)
        learned = [*self.network.parameters(), *self.criterion.parameters()]
        self._learned = [parameter for parameter in learned if parameter.requires_grad]
        self.optimizer = build_optimizer(recipe.optimizer, self._learned)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")
        self.ema = (
            ModelEmaV3(self.network, decay=recipe.ema, use_warmup=True) if recipe.ema else None
        )
        self.teacher = Teacher(recipe, device) if recipe.distillation else None
        forward: Any = self.strategy
        if recipe.compile:
            forward = torch.compile(forward)
        if self.processes.world > 1:
            forward = DistributedDataParallel(forward)
        self._forward: Callable[[Tensor], tuple[list[Tensor], dict[str, Tensor]]] = forward

    @property
    def average(self) -> SRNetwork:
        """The network with averaged weights, in evaluation mode."""
        network: nn.Module = self.network if self.ema is None else self.ema.module
        assert isinstance(network, SRNetwork)  # what timm copies
        return network.eval()

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
        self.network.load_state_dict(state["network"])
        self.criterion.load_state_dict(state["criterion"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        if self.processes.device.type == "cuda":
            for random in state["random_cuda"][:1]:  # the same in all processes
                torch.cuda.set_rng_state(random, self.processes.device)

    def _open_record(self, state: dict[str, Any] | None, tensorboard: bool) -> Record:
        names = [loss.name for loss in self.recipe.losses]
        names += [*(["teacher"] if self.teacher else []), *self.strategy.terms]
        record = Record(
            self.recipe, self.folder, names, until=self.iteration, tensorboard=tensorboard
        )
        record.best = state["best"] if state else record.best
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
            _signals(self._request_stop),
            tqdm(
                total=total,
                initial=self.iteration,
                unit="batch",
                disable=self.quiet or unwatched(),
                dynamic_ncols=True,
            ) as bar,
        ):
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
        cuda = processes.device.type == "cuda"
        for pair in batches(
            patches,
            recipe.data,
            start=self.iteration,
            stop=self.iterations,
            rank=processes.rank,
            world=processes.world,
            pin=cuda,
        ):
            lr, hr = (images.to(processes.device, non_blocking=cuda) for images in pair)
            yield lr.contiguous(memory_format=self._layout), hr

    def step(self, lr: Tensor, hr: Tensor) -> None:
        """Learn from one batch.

        Raises:
            TrainingError: The loss is not a finite number; the batch is saved.
        """
        self.network.train()
        with self._autocast():
            outputs, terms = self._forward(lr)
        self.timer.mark("forward")
        parts = [self._losses(output.float(), hr, lr) for output in outputs]
        losses = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        losses |= terms
        total = torch.stack(list(losses.values())).sum()
        self.timer.mark("losses")
        asked = total.new_tensor(float(self._stop))
        shared = self.processes.mean(torch.stack([total, *losses.values(), asked]).detach())
        if not bool(torch.isfinite(shared).all()):
            means = dict(zip(losses, shared[1:-1], strict=True))
            raise TrainingError(self._keep_batch(lr, hr, means))
        self._learn(total)
        for loss in self.criterion.losses.values():
            if isinstance(loss, GAN):
                loss.learn(outputs[0].detach().float(), hr)
        self.timer.mark("update")
        self.iteration += 1
        *averaged, stops = shared.tolist()
        self._stops_all = stops > 0
        for name, value in zip(("", *losses), averaged, strict=True):
            self._sums[name] += value
        self._summed += 1

    def _losses(self, output: Tensor, hr: Tensor, lr: Tensor) -> dict[str, Tensor]:
        losses = self.criterion(output, hr, lr)
        if self.teacher is not None:
            losses["teacher"] = self.teacher.loss(output, lr)
        return losses

    def _autocast(self) -> Any:
        if self.recipe.precision == "float32":
            return nullcontext()
        dtype = getattr(torch, self.recipe.precision)
        return torch.autocast(self.processes.device.type, dtype)

    def _learn(self, total: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        self.timer.mark("backward")
        share_gradients(self.criterion.parameters())  # the network's own are shared by now
        longest = self.recipe.optimizer.clip_norm
        if longest is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self._learned, longest)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        if self.ema is not None:
            self.ema.update(self.network, self.iteration)  # short-lived at first: so are weights

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
            "lr": float(self.schedule.get_last_lr()[0]),
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
        scores = record.validate(self.average, self.iteration)
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
        if not all(bool(torch.isfinite(p).all()) for p in self._learned):
            raise TrainingError(
                f"A weight is not finite after iteration {self.iteration}, so this state is not "
                f"saved; the one before is in {self.folder}. Lower the learning rate or clip "
                "gradients (optimizer.clip_norm)"
            )
        cuda = self.processes.device.type == "cuda"
        state = {
            "recipe": json.dumps(self.recipe.to_mapping()),
            "images": len(self.images.hr),
            "iteration": self.iteration,
            "best": self.record.best,
            "sums": dict(self._sums),
            "summed": self._summed,
            "network": self.network.state_dict(),
            "criterion": self.criterion.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": [torch.cuda.get_rng_state(self.processes.device)] if cuda else [],
        }
        save_state(state, self.folder)
        self.average.save_pretrained(self.folder)


@contextmanager
def _signals(handler: Callable[..., None]) -> Iterator[None]:
    """Let Ctrl-C and a polite kill finish the iteration that runs, where the process allows it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
