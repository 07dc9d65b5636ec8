"""What learns in a run: a network, with its losses, its optimiser, its average and its teacher."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from sr_zoo.api import create_model
from sr_zoo.network import SRNetwork
from sr_zoo.training.adversarial import GAN
from sr_zoo.training.distillation import Teacher
from sr_zoo.training.distributed import Processes, share_gradients
from sr_zoo.training.losses import Criterion
from sr_zoo.training.optimise import build_optimizer, build_schedule
from sr_zoo.training.profile import Timer
from sr_zoo.training.recipe import Recipe
from sr_zoo.training.strategies import build_strategy
from sr_zoo.training.warm_start import warm_start


class Learner:
    """A recipe's network and everything that changes or is changed with it.

    Attributes:
        network: What learns.
        average: Average over the network's past weights; what validates and is given.
        timer: Where its time goes.
        terms: Names of what its loss is the sum of.
    """

    def __init__(
        self, recipe: Recipe, processes: Processes, *, fresh: bool, quiet: bool = False
    ) -> None:
        """Build what learns, with weights drawn by the recipe's seed.

        Args:
            recipe: What it follows.
            processes: Those that share its batches.
            fresh: Whether it takes the recipe's weights to start from, if there are any; else
                `restore` brings others.
            quiet: Whether not to say what of the network those weights lack.

        Raises:
            OptionError: The recipe cannot be followed.
            SRZooError: Weights to start from, or a teacher's, cannot be had.
        """
        self.recipe, self.processes = recipe, processes
        device = processes.device
        self.timer = Timer(device)
        torch.manual_seed(recipe.seed)
        network = create_model(
            recipe.model, recipe.scale, pretrained=False, **dict(recipe.arguments)
        )
        if recipe.start and fresh:
            missing = warm_start(network, recipe.start)
            if missing and not quiet:
                tqdm.write(f"not in {recipe.start}, so drawn anew: {', '.join(missing)}")
        self._layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network: SRNetwork = network.to(device).to(memory_format=self._layout).train()
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
        names = [loss.name for loss in recipe.losses]
        self.terms = (*names, *(["teacher"] if self.teacher else []), *self.strategy.terms)
        forward: Any = self.strategy
        if recipe.compile:
            forward = torch.compile(forward)
        if processes.world > 1:
            forward = DistributedDataParallel(forward)
        self._forward: Callable[[Tensor], tuple[list[Tensor], dict[str, Tensor]]] = forward

    @property
    def average(self) -> SRNetwork:
        """The network with averaged weights, in evaluation mode."""
        network: nn.Module = self.network if self.ema is None else self.ema.module
        assert isinstance(network, SRNetwork)  # what timm copies
        return network.eval()

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs to go on bit for bit."""
        cuda = self.processes.device.type == "cuda"
        return {
            "network": self.network.state_dict(),
            "criterion": self.criterion.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": [torch.cuda.get_rng_state(self.processes.device)] if cuda else [],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` was called on."""
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

    def plan(self, iterations: int, *, done: int) -> None:
        """Begin the schedule of so many iterations, of which some are done."""
        self.schedule = build_schedule(self.recipe.schedule, self.optimizer, iterations, done=done)

    @property
    def is_finite(self) -> bool:
        """Whether all that it has learned are numbers."""
        return all(bool(torch.isfinite(p).all()) for p in self._learned)

    def moved(self, lr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch where the network is, and laid out as it is."""
        device = self.processes.device
        cuda = device.type == "cuda"
        lr, hr = (images.to(device, non_blocking=cuda) for images in (lr, hr))
        return lr.contiguous(memory_format=self._layout), hr

    def compare(self, lr: Tensor, hr: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what the network makes of a batch, and its losses, to learn from their sum.

        Args:
            lr: (N, 3, H, W), RGB in [0, 1].
            hr: (N, 3, scale*H, scale*W).

        Returns:
            The first output where a strategy gives several, without its gradient; and each loss
            times its weight, averaged over all outputs.
        """
        self.network.train()
        with self._autocast():
            outputs, terms = self._forward(lr)
        self.timer.mark("forward")
        parts = [self._losses(output.float(), hr, lr) for output in outputs]
        losses = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        losses |= terms
        return outputs[0].detach().float(), losses

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

    def learn(self, total: Tensor, output: Tensor, hr: Tensor, iteration: int) -> None:
        """Follow the gradients of a batch.

        Args:
            total: Sum of its losses.
            output: What the network made of it, for discriminators to learn from.
            hr: The patches that it should have made.
            iteration: How many batches were learned from before.
        """
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
            self.ema.update(self.network, iteration)  # short-lived at first: so are weights
        for loss in self.criterion.losses.values():
            if isinstance(loss, GAN):
                loss.learn(output, hr)
        self.timer.mark("update")
