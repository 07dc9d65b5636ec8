"""Which width of a slimmable network a patch of an image is worth, by tables measured beforehand.

ARM (Chen et al., ECCV 2022) looks a patch up by its edges. `GradientTable` does so by how strongly
it changes along each axis: a reading of the dynamic inference by gradient projection of Yu et al.,
WBSR, NeurIPS 2024, of which no formula is public, so that bins and their borders are choices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from sr_zoo.blocks.frequency import grey_gradients

RANGE_OF_PRICES = (1e-4, 1e5)  # of one dB: everything at its cheapest, everything at its best
NUM_BINS = 10


@dataclass(frozen=True)
class PatchTable(ABC):
    """Which PSNR each width reaches on patches of a kind, and what a patch costs.

    Attributes:
        kind: What describes a patch, as records name it.
        widths: Feature widths, smallest first; 0 is interpolation without a network.
        cost: Of a patch at each width, in any unit, float64.
    """

    kind: ClassVar[str]
    widths: tuple[int, ...]
    cost: Tensor

    def to_record(self) -> dict[str, Any]:
        """Return the table as JSON data."""
        record: dict[str, Any] = {"kind": self.kind}
        for field in fields(self):
            value = getattr(self, field.name)
            record[field.name] = value.tolist() if isinstance(value, Tensor) else value
        return record

    @staticmethod
    def from_record(record: dict[str, Any]) -> PatchTable:
        """Return the table that `to_record` gave.

        Raises:
            ValueError: It is no table.
        """
        kinds = {cls.kind: cls for cls in PatchTable.__subclasses__()}
        try:
            found = kinds[record["kind"]]
            values = {field.name: record[field.name] for field in fields(found)}
            numbers = {
                name: torch.tensor(value, dtype=torch.float64, device="cpu")
                for name, value in values.items()
                if isinstance(value, list) and name != "widths"
            }
            return found(**{**values, **numbers, "widths": tuple(values["widths"])})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no table of patches ({type(error).__name__}: {error})") from error

    @abstractmethod
    def describe(self, patches: Tensor) -> Tensor:
        """Return of which kind patches (N, 3, h, w) in [0, 1] are: (N, ...)."""

    @abstractmethod
    def predict(self, kinds: Tensor) -> Tensor:
        """Return the PSNR in dB of each width on patches of these kinds: (N, widths)."""

    def choose(self, kinds: Tensor, eta: float | None) -> Tensor:
        """Return each patch's index into `widths`.

        Args:
            kinds: As `describe` gives them.
            eta: What one dB is worth, in costs of a full-width patch; None for the best PSNR
                whatever it costs.
        """
        value = self.predict(kinds)
        if eta is not None:
            value = eta * self.cost[-1] * value - self.cost
        return value.argmax(1)

    def choose_within(self, kinds: Tensor, macs: Tensor, limit: float) -> Tensor:
        """Return each patch's index into `widths` so that all together stay within a limit.

        Args:
            kinds: As `describe` gives them.
            macs: Multiply-adds of a patch at each width.
            limit: For all patches.
        """
        low, high = RANGE_OF_PRICES
        for _ in range(50):
            price = (low * high) ** 0.5
            within = macs[self.choose(kinds, price)].sum() <= limit
            low, high = (price, high) if within else (low, price)
        chosen, dearer = self.choose(kinds, low), self.choose(kinds, high)
        # patches of one kind change together; of those that the limit lies in, as many as it pays
        left = limit - macs[chosen].sum()
        undecided = (dearer != chosen).nonzero().flatten()
        undecided = undecided[self.predict(kinds)[undecided, 0].argsort()]  # the hardest first
        extra = (macs[dearer] - macs[chosen])[undecided].cumsum(0)
        paid = undecided[extra <= left]
        chosen[paid] = dearer[paid]
        return chosen

    def choose_reaching(self, kinds: Tensor, psnr: float) -> Tensor:
        """Return for each patch the index of the cheapest width expected to reach a PSNR in dB.

        Where none does, that is the width expected to come closest.
        """
        expected = self.predict(kinds)
        reached = expected >= psnr
        return torch.where(reached.any(1), reached.int().argmax(1), expected.argmax(1))


@dataclass(frozen=True)
class GradientTable(PatchTable):
    """The error of each width on patches by the strength of their gradients along both axes.

    Attributes:
        borders: (2, bins - 1), between the bins of the mean absolute gradient downwards and to the
            right.
        error: Mean squared error of each width, (widths, bins, bins), float64.
    """

    kind: ClassVar[str] = "gradients"
    borders: Tensor
    error: Tensor

    def __post_init__(self) -> None:
        bins = self.error.shape[-1]
        sizes = (tuple(self.error.shape), tuple(self.borders.shape))
        if sizes != ((len(self.widths), bins, bins), (2, bins - 1)):
            raise ValueError(f"{len(self.widths)} widths do not go with tables of sizes {sizes}")

    @classmethod
    def fit(
        cls,
        widths: tuple[int, ...],
        cost: Tensor,
        gradients: Tensor,
        errors: Tensor,
        *,
        bins: int = NUM_BINS,
    ) -> GradientTable:
        """Build the table from patches that all widths have run on.

        Borders are such that every bin of an axis holds equally many patches. A cell without a
        patch takes the errors of the nearest cell that has one.

        Args:
            widths: As in the table.
            cost: As in the table.
            gradients: (N, 2), as `describe` gives them.
            errors: (N, widths), mean squared error of each patch at each width.
            bins: Along each axis.

        Raises:
            ValueError: There is no patch.
        """
        if not len(gradients):
            raise ValueError("a table needs at least one patch to be measured on")
        gradients, errors = gradients.cpu().double(), errors.cpu().double()
        parts = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device="cpu")[1:-1]
        borders = torch.quantile(gradients, parts, dim=0).t().contiguous()
        rows, columns = _cells(gradients, borders)
        cells = rows * bins + columns
        count = torch.bincount(cells, minlength=bins**2)
        total = errors.new_zeros(bins**2, errors.shape[1]).index_add_(0, cells, errors)
        filled = count.nonzero().flatten()
        axis = torch.arange(bins, dtype=torch.float64, device="cpu")
        places = torch.cartesian_prod(axis, axis)
        nearest = filled[torch.cdist(places, places[filled]).argmin(1)]
        mean = total[nearest] / count[nearest, None]
        return cls(widths, cost, borders, mean.t().reshape(-1, bins, bins))

    def describe(self, patches: Tensor) -> Tensor:
        return gradient_projection(patches)

    def predict(self, kinds: Tensor) -> Tensor:
        rows, columns = _cells(kinds.cpu().double(), self.borders)
        smallest = torch.finfo(self.error.dtype).tiny  # an error of zero has no logarithm
        return -10 * self.error[:, rows, columns].t().clamp(min=smallest).log10()


def gradient_projection(patches: Tensor) -> Tensor:
    """Return how strongly patches change downwards and to the right: (N, 3, h, w) to (N, 2)."""
    return torch.cat([side.abs().mean((2, 3)) for side in grey_gradients(patches)], dim=1)


def _cells(gradients: Tensor, borders: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bin of each patch along each axis."""
    down, right = (
        torch.bucketize(values.contiguous(), border)
        for values, border in zip(gradients.unbind(1), borders, strict=True)
    )
    return down, right
