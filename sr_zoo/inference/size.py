"""How large an output is to be: a factor, a side, or a box to fit into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real

from sr_zoo.errors import OptionError

LARGEST_SCALE = 64


@dataclass(frozen=True)
class Size:
    """The size that outputs get; at most one attribute is given, and none means the network's own.

    Attributes:
        scale: Output side over input side.
        width: Of the output in pixels; the height follows.
        height: Likewise.
        fit: Width and height of a box that the output shall touch and stay inside.

    Raises:
        OptionError: Several are given, or one is out of range.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    fit: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) > 1:
            raise OptionError(f"{' and '.join(given)} contradict each other; give one of them")
        scale = self.scale
        number = isinstance(scale, Real) and not isinstance(scale, bool)
        if scale is not None and not (number and 0 < scale <= LARGEST_SCALE):
            hint = "; a model's name goes into model=" if isinstance(scale, str) else ""
            raise OptionError(f"scale must be a number above 0, at most 64, got {scale!r}{hint}")
        for name in ("width", "height"):
            side = getattr(self, name)
            if side is not None and not is_count(side, least=1):
                raise OptionError(f"{name} must be a whole number from 1 pixel on, got {side!r}")
        box = self.fit
        if box is not None and not (
            isinstance(box, Sequence) and len(box) == 2 and all(is_count(n, least=1) for n in box)
        ):
            raise OptionError(f"fit must be a width and a height from 1 pixel on, got {box!r}")

    def of(self, height: int, width: int, own_scale: float) -> tuple[int, int]:
        """Return height and width of the output.

        Args:
            height: Of the image.
            width: Of the image.
            own_scale: The network's, taken where nothing is given.

        Raises:
            OptionError: The image would have to grow more than 64 times.
        """
        scale = own_scale if self.scale is None else self.scale
        if self.width:
            scale = self.width / width
        elif self.height:
            scale = self.height / height
        elif self.fit:
            scale = min(self.fit[0] / width, self.fit[1] / height)
        if scale > LARGEST_SCALE:
            raise OptionError(
                f"An image of {width}x{height} would grow {scale:.3g} times; at most "
                f"{LARGEST_SCALE} is allowed"
            )
        return max(round(height * scale), 1), max(round(width * scale), 1)


def is_count(value: object, *, least: int) -> bool:
    """Whether a value is a whole number of at least `least`, of Python or NumPy."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def runs_needed(old: tuple[int, int], new: tuple[int, int], scale: int) -> int:
    """Return how often a network must enlarge an image until no side falls short of `new`."""
    runs = 0
    while any(before * scale**runs < after for before, after in zip(old, new, strict=True)):
        runs += 1
    return runs
