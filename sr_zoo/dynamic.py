"""Networks that decide how much to compute where, and what a caller lets them spend."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from sr_zoo.errors import OptionError
from sr_zoo.network import SRNetwork

# what every dynamic network understands; some have a kind of their own, `DynamicNetwork.knob`
KINDS = {
    "auto": "as the network itself decides",
    "share": "at most this share, from 0 to 1, of the multiply-adds of its full mode",
    "gmacs": "at most this many billion multiply-adds per image",
    "ms": "at most this many milliseconds per image, by times measured on this machine",
}


@dataclass(frozen=True)
class Budget:
    """What a dynamic network may spend on an image.

    Attributes:
        kind: A key of `KINDS`, or a network's own kind.
        value: In the unit of that kind; of no meaning for ``"auto"``.
    """

    kind: str
    value: float = 0.0

    @classmethod
    def parse(cls, given: Budget | float | str) -> Budget:
        """Read a budget as users write it.

        Args:
            given: A share such as 0.5; or ``"auto"``, ``"50%"``, ``"20 GMACs"``, ``"300 ms"``,
                ``"eta=1.3"``.

        Raises:
            OptionError: It is none of these.
        """
        if isinstance(given, Budget):
            return given
        if isinstance(given, (int, float)):
            return _share(float(given))
        text = given.strip().lower()
        if text == "auto":
            return cls("auto")
        own = re.fullmatch(r"([a-z]\w*)\s*=\s*(-?\d*\.?\d+)", text)
        if own:
            return cls(own[1], float(own[2]))
        number = re.fullmatch(r"(\d*\.?\d+)\s*(%|gmacs?|ms|)", text)
        if number is None:
            raise OptionError(
                f"Unknown budget {given!r}; give 'auto', a share such as 0.5 or '50%', '20 GMACs', "
                "'300 ms', or what the network itself takes, such as 'eta=1.3'"
            )
        value, unit = float(number[1]), number[2]
        if unit == "ms":
            return cls("ms", value)
        if unit.startswith("gmac"):
            return cls("gmacs", value)
        return _share(value / 100 if unit else value)


def _share(value: float) -> Budget:
    if not 0 < value <= 1:
        raise OptionError(
            f"A budget without a unit is a share of the full multiply-adds, above 0 and up to 1; "
            f"got {value:g}"
        )
    return Budget("share", value)


@dataclass
class Effort:
    """What a network spent on an image, and where.

    Attributes:
        output: (1, 3, scale*H, scale*W), not clamped.
        levels: What can happen to a pixel, cheapest first.
        maps: Index into `levels` by place, (H', W') at any size that divides the picture alike; one
            map per part of the network that decides.
        macs: Multiply-adds that were run.
        full_macs: Multiply-adds of the most expensive mode, run in the same way.
    """

    output: Tensor
    levels: tuple[str, ...]
    maps: dict[str, Tensor] = field(default_factory=dict)
    macs: float = 0.0
    full_macs: float = 0.0


class DynamicNetwork(SRNetwork):
    """A network with a way of inference that computes only what it decides to.

    `forward` is the dense form: every place computed in every way that it could be, so that it
    exports and batches; `spend` really skips.

    Attributes:
        knob: The network's own kind of budget, and what it says; None if it has none.
    """

    knob: ClassVar[tuple[str, str] | None] = None
    tiles_itself: ClassVar[bool] = False  # `spend` bounds its memory whatever the image's size

    @classmethod
    def budgets(cls) -> dict[str, str]:
        """Return the kinds of budget that the network takes, and what each says."""
        return KINDS | (dict([cls.knob]) if cls.knob else {})

    @abstractmethod
    def spend(self, image: Tensor, budget: Budget) -> Effort:
        """Upscale one image within a budget.

        Args:
            image: (1, 3, H, W), RGB in [0, 1].
            budget: Of kind ``"auto"``, ``"share"`` or the network's own; `Upscaler` turns the
                others into a share.

        Raises:
            OptionError: The budget is less than what the cheapest mode takes.
        """

    @abstractmethod
    def costs(self, height: int, width: int) -> tuple[float, float]:
        """Return the multiply-adds of the cheapest and of the full mode for an LR size."""


def affordable(share: float, cheapest: float, full: float) -> float:
    """Return how far between the cheapest and the full mode a share of the full cost lies.

    Raises:
        OptionError: It does not pay for the cheapest mode.
    """
    if share * full < cheapest * (1 - 1e-9):
        raise OptionError(
            f"A budget of {share:.1%} of the full multiply-adds is too small: the cheapest mode "
            f"takes {cheapest / full:.1%}"
        )
    return min(max((share * full - cheapest) / (full - cheapest), 0.0), 1.0)
