"""Numbers among a network's constructor arguments, as unknowns: read, changed, changed together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from sr_zoo.weights.outline import Arguments

SCALES = range(1, 9)


class Slot:
    """One number among the arguments: an argument, an item of a tuple, or tuples' common length."""

    def __init__(self, names: tuple[str, ...], index: int | None, *, length: bool = False) -> None:
        self.names, self.index, self.length = names, index, length

    def get(self, arguments: Arguments) -> Any:
        value = arguments[self.names[0]]
        if self.length:
            return len(value)
        return value if self.index is None else value[self.index]

    def put(self, arguments: Arguments, value: Any) -> Arguments:
        return arguments | {name: self._changed(arguments[name], value) for name in self.names}

    def _changed(self, old: Any, value: Any) -> Any:
        if self.length:
            return (tuple(old) + (old[-1],) * max(value - len(old), 0))[:value]
        if self.index is None:
            return value
        return (*old[: self.index], value, *old[self.index + 1 :])


def slots_of(arguments: Arguments) -> list[Slot]:
    """Return every number among arguments but the scale, and the lengths of tuples of numbers."""
    slots = []
    lengths = defaultdict(list)
    for name, value in arguments.items():
        if name != "scale" and _is_number(value):
            slots.append(Slot((name,), None))
        elif isinstance(value, tuple | list) and value and all(map(_is_number, value)):
            slots += [Slot((name,), i) for i in range(len(value))]
            lengths[len(value)].append(name)
    slots += [Slot(tuple(names), None, length=True) for names in lengths.values()]
    return slots


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def with_updates(arguments: Arguments, updates: Mapping[Slot, Any]) -> Iterator[Arguments]:
    """Yield the arguments with all updates, then with each alone."""
    together = arguments
    for slot, value in updates.items():
        together = slot.put(together, value)
    yield together
    for slot, value in updates.items():
        yield slot.put(arguments, value)


def rounded(value: Fraction | float, like: Any) -> Any:
    """Return a wished value as the slot's type, or None if it cannot have it."""
    if value <= 0:
        return None
    return float(value) if isinstance(like, float) else max(1, round(value))


def sets_of(arguments: Arguments) -> list[str]:
    """Return the names of arguments that may be sets of scales."""
    return [
        name
        for name, value in arguments.items()
        if isinstance(value, tuple) and len(set(value)) == len(value) > 0
        if all(member in SCALES for member in value)
    ]


def with_other_members(arguments: Arguments) -> Iterator[Arguments]:
    """Yield the arguments with a scale more or less in a set of them."""
    for name in sets_of(arguments):
        members = set(arguments[name])
        for scale in SCALES:
            yield arguments | {name: tuple(sorted(members ^ {scale}))}
