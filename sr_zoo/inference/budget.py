"""Dynamic networks at work: budgets turned into shares, and what was spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sr_zoo.dynamic import Budget, DynamicNetwork, Effort
from sr_zoo.errors import OptionError
from sr_zoo.inference.runtimes import Runner
from sr_zoo.inference.timing import timed
from sr_zoo.network import SRNetwork, weight_of
from sr_zoo.registry import MODELS, spec_of

PROBE_SIDE = 128  # LR pixels
PROBES = 5  # shares at which the time is measured, between the cheapest and the full mode
REPEATS = 2


@dataclass(frozen=True)
class Report:
    """What a dynamic network spent on an image.

    Attributes:
        macs: Multiply-adds that were run.
        full_macs: Those of the full mode.
        seconds: Time that the network took.
        shares: How much of the picture each level got, from 0 to 1.
    """

    macs: float
    full_macs: float
    seconds: float
    shares: dict[str, float]

    @classmethod
    def of(cls, efforts: Sequence[Effort], seconds: float) -> Report:
        """Sum up the parts of a picture."""
        counts: Counter[str] = Counter()
        for effort in efforts:
            for levels in effort.maps.values():
                hits = torch.bincount(levels.flatten(), minlength=len(effort.levels)).tolist()
                counts.update(dict(zip(effort.levels, hits, strict=True)))
        total = max(counts.total(), 1)
        return cls(
            macs=sum(effort.macs for effort in efforts),
            full_macs=sum(effort.full_macs for effort in efforts),
            seconds=seconds,
            shares={level: count / total for level, count in counts.items()},
        )

    def __str__(self) -> str:
        levels = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        spent = f"in {self.seconds * 1000:.0f} ms: {levels}"
        if not self.full_macs:  # all levels cost about the same
            return spent
        whole, share = self.full_macs / 1e9, self.macs / self.full_macs
        return f"{self.macs / 1e9:.2f} of {whole:.2f} GMACs ({share:.0%}) {spent}"


class BudgetRunner(Runner):
    """Runs a dynamic network within a budget, and keeps account.

    Args:
        network: In evaluation mode, on the device to use.
        budget: For each image; tiles of one get equal shares of it.

    Raises:
        OptionError: The network takes no budget, or none of this kind.
    """

    name = "torch"
    sees_views = True

    def __init__(self, network: SRNetwork, budget: Budget | float | str) -> None:
        self.scale = network.scale
        self.network = _dynamic(network)
        self.budget = Budget.parse(budget)
        kinds = self.network.budgets()
        if self.budget.kind not in kinds:
            raise OptionError(
                f"{type(network).__name__} takes no budget of kind {self.budget.kind!r}; it takes "
                + "; ".join(f"{kind}: {meaning}" for kind, meaning in kinds.items())
            )
        self._share: Budget | None = None
        self._times: list[tuple[float, float]] = []
        self._efforts: list[Effort] = []
        self._seconds = 0.0

    def start(self, height: int, width: int) -> None:
        """Begin with an image of this size: fix its share, and forget what was spent before."""
        self._efforts, self._seconds = [], 0.0
        self._share = self.resolve(height, width)

    def __call__(self, image: Tensor, /) -> Tensor:
        budget = self._share or self.resolve(image.shape[-2], image.shape[-1])
        run = timed(self.network.spend, image, budget)
        self._seconds += run.seconds
        effort = run.result
        output, effort.output = effort.output, image.new_empty(0)
        self._efforts.append(effort)
        return output.float()

    @property
    def report(self) -> Report:
        """What the last image took, all tiles together."""
        return Report.of(self._efforts, self._seconds)

    def resolve(self, height: int, width: int) -> Budget:
        """Turn the budget into what the network understands: ``"auto"``, a share, or its own."""
        _, full = self.network.costs(height, width)
        if self.budget.kind == "gmacs":
            return Budget("share", min(self.budget.value * 1e9 / full, 1.0))
        if self.budget.kind == "ms":
            return Budget("share", self._share_within(self.budget.value / 1000, height * width))
        return self.budget

    def _share_within(self, seconds: float, pixels: int) -> float:
        """Return the largest share whose time fits, by times measured on this machine."""
        self._times = self._times or self._measure()
        allowed = seconds / pixels
        if allowed < self._times[0][1]:
            raise OptionError(
                f"{seconds * 1000:.0f} ms are too few for {pixels} LR pixels: the cheapest mode "
                f"takes about {self._times[0][1] * pixels * 1000:.0f} ms on this machine"
            )
        best = self._times[0][0]
        for (low, quick), (high, slow) in zip(self._times, self._times[1:], strict=False):
            if allowed >= slow:
                best = high
            elif allowed >= quick:
                return low + (high - low) * (allowed - quick) / (slow - quick)
        return best

    @torch.inference_mode()
    def _measure(self) -> list[tuple[float, float]]:
        """Return shares and seconds per LR pixel, both increasing."""
        weight = weight_of(self.network)
        image = torch.rand(1, 3, PROBE_SIDE, PROBE_SIDE, device=weight.device, dtype=weight.dtype)
        cheapest, full = self.network.costs(PROBE_SIDE, PROBE_SIDE)
        lowest = max(cheapest / full, 0.05)
        times: list[tuple[float, float]] = []
        for step in range(PROBES):
            share = lowest + (1 - lowest) * step / (PROBES - 1)
            wanted = Budget("share", share)
            runs = [timed(self.network.spend, image, wanted).seconds for _ in range(REPEATS)]
            quickest = min(runs) / PROBE_SIDE**2
            times.append((share, max([quickest, *(known for _, known in times)])))
        return times


def _dynamic(network: SRNetwork) -> DynamicNetwork:
    if isinstance(network, DynamicNetwork):
        return network
    able = [name for name in MODELS if issubclass(spec_of(name).network, DynamicNetwork)]
    raise OptionError(
        f"{type(network).__name__} always computes the same; a budget is for {', '.join(able)}"
    )
