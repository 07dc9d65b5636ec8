"""Which constructor arguments give a network tensors of these names and shapes.

No table per network: the constructor itself is asked (`sr_zoo.weights.outline`), one argument
changed at a time. What that changes (`sr_zoo.weights.features`) says how far the argument is from
the value sought, as in Newton's method; arguments that several sizes depend on follow once the
others are settled. The answer is checked: all names and all shapes must be equal.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, TypeAlias

from sr_zoo.network import SRNetwork
from sr_zoo.weights.features import Features, features_of, keeps_together
from sr_zoo.weights.loading import Shapes
from sr_zoo.weights.outline import Arguments, shapes_of
from sr_zoo.weights.slots import (
    SCALES,
    Slot,
    rounded,
    sets_of,
    slots_of,
    with_other_members,
    with_updates,
)

Builds: TypeAlias = dict[str, Features | None]  # by arguments; None where they are refused

ROUNDS = 24
PIXEL = 3  # channels
STEPS = (1, 2, 4, 8, 12, 16, -1)  # probes of an argument, where a constructor takes the value
SCAN = 65  # arguments that enter by a floor division and the like are tried one by one up to here


def solve(
    network: type[SRNetwork],
    target: Shapes,
    start: Arguments,
    builds: Builds | None = None,
    *,
    thorough: bool,
) -> list[Arguments]:
    """Return arguments that give exactly these shapes, once per scale that does; empty if none do.

    Args:
        network: The class to build.
        target: Names and shapes to reach, in our layout.
        start: Complete arguments to begin from. What leaves no trace in shapes stays as it is here.
        builds: What earlier calls for the network have built; gets what this one builds.
        thorough: Whether to try values one by one, where an argument enters by a division; at the
            likeliest scale only.
    """
    search = _Search(network, target, {} if builds is None else builds, thorough=thorough)
    scales = search.scales(start)
    for scale in scales[:1] if thorough else scales:
        arguments = search.run(start | {"scale": scale})
        if search.only_names_differ:
            return []
        if arguments is not None:
            alike = [arguments | {"scale": other} for other in SCALES]
            return [a for a in alike if shapes_of(network, a) == target]
    return []


def reachable(network: type[SRNetwork], target: Shapes, start: Arguments, builds: Builds) -> bool:
    """Tell soon whether other numbers among the arguments may give these shapes.

    They cannot where sizes that always change together differ in the target, or where one child of
    a list lacks a tensor that all of them have.

    Args:
        network: The class to build.
        target: Names and shapes, in our layout.
        start: Complete arguments, of which only numbers may change.
        builds: As for `solve`.
    """
    search = _Search(network, target, builds, thorough=False)
    return keeps_together(search.wanted, search.around(start))


class _Search:
    def __init__(
        self, network: type[SRNetwork], target: Shapes, builds: Builds, *, thorough: bool
    ) -> None:
        self.network = network
        self.wanted = features_of(target)
        self.thorough = thorough
        self.only_names_differ = False
        self.builds = builds

    def scales(self, start: Arguments) -> list[int]:
        """Return all scales, those first that explain most of what depends on the scale."""
        builds = {scale: self._build(start | {"scale": scale}) or {} for scale in SCALES}
        varying = {
            key
            for build in builds.values()
            for key in build
            if len({other.get(key) for other in builds.values()}) > 1
        }
        sizes = set(self.wanted.values())

        def explained(scale: int) -> tuple[int, bool]:
            right = sum(self.wanted.get(key) == builds[scale].get(key) for key in varying)
            return right, PIXEL * scale**2 in sizes

        return sorted((s for s in SCALES if builds[s]), key=explained, reverse=True)

    def run(self, arguments: Arguments) -> Arguments | None:
        """Return arguments that reach the target at the scale of `arguments`, or None."""
        for _ in range(ROUNDS):
            if self._mismatch(arguments) == (0, 0):
                return arguments
            improved = self._improve(arguments)
            if improved is None:
                return None
            arguments = improved
        return None

    def _build(self, arguments: Arguments) -> Features | None:
        key = repr(sorted(arguments.items()))
        if key not in self.builds:
            built = shapes_of(self.network, arguments)
            self.builds[key] = None if built is None else features_of(built)
        return self.builds[key]

    def _mismatch(self, arguments: Arguments) -> tuple[int, int] | None:
        """Return how many features differ from the target's, then how far those of both are apart.

        None if nothing can be built.
        """
        build = self._build(arguments)
        if build is None:
            return None
        keys = build.keys() | self.wanted.keys()
        differing = [key for key in keys if build.get(key) != self.wanted.get(key)]
        both = build.keys() & self.wanted.keys()
        return len(differing), sum(abs(build[k] - self.wanted[k]) for k in differing if k in both)

    def _improve(self, arguments: Arguments) -> Arguments | None:
        """Return arguments closer to the target, or None."""
        base, before = self._build(arguments), self._mismatch(arguments)
        if base is None or before is None:
            return None
        gaps = {k: self.wanted[k] - base[k] for k in base.keys() & self.wanted.keys()}
        if any(gaps.values()):
            candidates = self._sizes(arguments, base, gaps)
        else:
            candidates = with_other_members(arguments)
            # numbers change sizes, so that nothing is left to try
            self.only_names_differ = not sets_of(arguments)
        for candidate in candidates:
            mismatch = self._mismatch(candidate)
            if mismatch is not None and mismatch < before:
                return candidate
        return None

    def _sizes(self, arguments: Arguments, base: Features, gaps: Features) -> Iterator[Arguments]:
        """Yield arguments that may bring sizes closer to the target's."""
        slopes = {slot: self._probe(slot, arguments, base) for slot in slots_of(arguments)}
        yield from self._newton(arguments, gaps, slopes)
        if self.thorough:
            yield from self._scan(arguments, base, gaps, slopes)
            yield from self._items(arguments, slopes)

    def _items(self, arguments: Arguments, slots: Iterable[Slot]) -> Iterator[Arguments]:
        """Yield arguments in which one item of a tuple is another scale.

        For networks that serve several scales, one of which may have to follow.
        """
        for slot in slots:
            if slot.index is None or arguments["scale"] not in arguments[slot.names[0]]:
                continue
            for scale in SCALES:
                candidate = slot.put(arguments, scale)
                refused = self._build(candidate) is None
                yield candidate | {"scale": scale} if refused else candidate

    def around(self, start: Arguments) -> list[Features]:
        """Return what the arguments give at every scale, and with each number changed alone."""
        scales = self.scales(start)
        builds = [self._build(start | {"scale": scale}) or {} for scale in scales]
        if scales:
            arguments = start | {"scale": scales[0]}
            moves = (self._move(slot, arguments, builds[0]) for slot in slots_of(arguments))
            builds += [build for _, build in moves]
        return builds

    def _move(self, slot: Slot, arguments: Arguments, base: Features) -> tuple[Any, Features]:
        """Return a step of a slot that changes some sizes, and what it gives; else no step."""
        value = slot.get(arguments)
        for step in (*STEPS, value):
            build = self._build(slot.put(arguments, value + step)) if value + step > 0 else None
            if build and any(base[key] != build[key] for key in base.keys() & build.keys()):
                return step, build
        return 0, base

    def _probe(self, slot: Slot, arguments: Arguments, base: Features) -> dict[str, Fraction]:
        """Return how fast each feature changes with a slot."""
        step, build = self._move(slot, arguments, base)
        changed = {k: build[k] - base[k] for k in base.keys() & build.keys()}
        return {k: Fraction(change, step) for k, change in changed.items() if change}

    def _newton(
        self, arguments: Arguments, gaps: Features, slopes: dict[Slot, dict[str, Fraction]]
    ) -> Iterator[Arguments]:
        """Yield arguments in which the slots have the values that most of their features want.

        First by the features that one slot alone changes; where those are right, by the ones that
        it shares with slots that are right too.
        """
        users = Counter(key for slope in slopes.values() for key in slope)
        settled = {
            slot
            for slot, slope in slopes.items()
            if all(gaps.get(key) == 0 for key in slope if users[key] == 1)
            and any(users[key] == 1 for key in slope)
        }
        for known in (set(), settled):
            users = Counter(k for slot, slope in slopes.items() if slot not in known for k in slope)
            updates = {}
            for slot, slope in slopes.items():
                own = {k: rate for k, rate in slope.items() if users[k] == 1 and k in gaps}
                value = slot.get(arguments)
                wishes = Counter(value + gaps[key] / rate for key, rate in own.items())
                wish = rounded(wishes.most_common(1)[0][0], value) if wishes else None
                if wish is not None and wish != value and slot not in known:
                    updates[slot] = wish
            yield from with_updates(arguments, updates)

    def _scan(
        self,
        arguments: Arguments,
        base: Features,
        gaps: Features,
        slopes: dict[Slot, dict[str, Fraction]],
    ) -> Iterator[Arguments]:
        """Yield arguments in which one slot has another value, likely ones first.

        For what enters by a division, or only together with something else.
        """
        for slot, slope in slopes.items():
            wrong = [key for key in slope if gaps.get(key)]
            value = slot.get(arguments)
            if isinstance(value, float) or not wrong:
                continue
            inverse = {round(value * base[key] / self.wanted[key]) for key in wrong}
            likely = {guess + offset for guess in inverse for offset in (-1, 0, 1)}
            for guess in itertools.chain(sorted(likely), range(1, SCAN)):
                if guess > 0:
                    yield slot.put(arguments, guess)
