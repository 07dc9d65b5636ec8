"""Which constructor arguments give a network tensors of these names and shapes.

No table per network: the constructor itself is asked. It runs on outlines, which take
no memory, one argument changed at a time. What that changes (the sizes of tensors, how
many numbered children a module has) says how far the argument is from the value sought, as in
Newton's method; arguments that several sizes depend on follow once the others are settled. The
answer is checked: all names and all shapes must be equal.
"""

from __future__ import annotations

import inspect
import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import inf
from typing import Any, TypeAlias

import torch

from sr_zoo.network import SRNetwork
from sr_zoo.weights.loading import Shapes, Uninitialised, shapes

Arguments: TypeAlias = dict[str, Any]
Features: TypeAlias = dict[str, int]
Builds: TypeAlias = dict[str, Features | None]  # by arguments; None where they are refused

ROUNDS = 24
SCALES = range(1, 9)
PIXEL = 3  # channels
STEPS = (1, 2, 4, 8, 12, 16, -1)  # probes of an argument, where a constructor takes the value
SCAN = 65  # arguments that enter by a floor division and the like are tried one by one up to here
REFUSALS = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError)


class _Outline(Uninitialised):
    """Builds networks whose weights are on the meta device, uninitialised: sizes without numbers.

    Tables that a constructor computes stay on the CPU. There they cost little, while torch computes
    on the meta device in Python, with modules that take seconds to import.

    Args:
        most: How many tensors layers may allocate.
    """

    def __init__(self, most: float) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty:  # what every layer of torch allocates its weights by
            self.left -= 1
            if self.left < 0:
                raise ValueError("the network has too many tensors")
            return func(*args, **kwargs | {"device": "meta"})
        if func is torch.linalg.vector_norm:
            return torch.sum(*args, **kwargs)  # of the same shape, and compiled
        return super().__torch_function__(func, types, args, kwargs)


def shapes_of(
    network: type[SRNetwork], arguments: Arguments, *, most: float = inf
) -> Shapes | None:
    """Return names and shapes of a network's tensors, or None if it refuses the arguments.

    Args:
        network: The class to build.
        arguments: Of its constructor.
        most: With more tensors than these it counts as refused, as soon as they are met.
    """
    try:
        with _Outline(most):
            state = network(**arguments).state_dict()
    except REFUSALS:
        return None
    return shapes(state)


def defaults_of(network: type[SRNetwork]) -> Arguments:
    """Return the constructor's arguments that have defaults."""
    parameters = inspect.signature(network).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


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
    return search.keeps_together(search.around(start))


def _features(named: Shapes) -> Features:
    """Return the size of every axis, and how many numbered children every module has."""
    features = {
        f"{name}:{axis}": n for name, shape in named.items() for axis, n in enumerate(shape)
    }
    children = defaultdict(set)
    for name in named:
        parts = name.split(".")
        for depth, part in enumerate(parts):
            if part.isdigit():
                children[".".join(parts[:depth])].add(part)
    return features | {f"{module}#": len(numbers) for module, numbers in children.items()}


def _growing(builds: list[Features]) -> set[str]:
    """Return the modules whose number of children differs."""
    counts = defaultdict(set)
    for key, count in itertools.chain.from_iterable(build.items() for build in builds):
        if key.endswith("#"):
            counts[key.removesuffix("#")].add(count)
    return {module for module, seen in counts.items() if len(seen) > 1}


def _members(features: Features, modules: Collection[str]) -> dict[str, list[Features]]:
    """Return the features of every numbered child of modules, the child's own name left out."""
    found: dict[str, dict[str, Features]] = {}
    for key, size in features.items():
        for module in modules:
            number, _, name = key.removeprefix(f"{module}.").partition(".")
            if key.startswith(f"{module}.") and name:
                found.setdefault(module, {}).setdefault(number, {})[name] = size
    return {module: list(children.values()) for module, children in found.items()}


def _alike(items: Sequence[Any]) -> bool:
    return all(item == items[0] for item in items)


class _Slot:
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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _slots(arguments: Arguments) -> list[_Slot]:
    slots = []
    lengths = defaultdict(list)
    for name, value in arguments.items():
        if name != "scale" and _is_number(value):
            slots.append(_Slot((name,), None))
        elif isinstance(value, tuple | list) and value and all(map(_is_number, value)):
            slots += [_Slot((name,), i) for i in range(len(value))]
            lengths[len(value)].append(name)
    slots += [_Slot(tuple(names), None, length=True) for names in lengths.values()]
    return slots


class _Search:
    def __init__(
        self, network: type[SRNetwork], target: Shapes, builds: Builds, *, thorough: bool
    ) -> None:
        self.network = network
        self.wanted = _features(target)
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
            self.builds[key] = None if built is None else _features(built)
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
            candidates = _with_other_members(arguments)
            # numbers change sizes, so that nothing is left to try
            self.only_names_differ = not _sets(arguments)
        for candidate in candidates:
            mismatch = self._mismatch(candidate)
            if mismatch is not None and mismatch < before:
                return candidate
        return None

    def _sizes(self, arguments: Arguments, base: Features, gaps: Features) -> Iterator[Arguments]:
        """Yield arguments that may bring sizes closer to the target's."""
        slopes = {slot: self._probe(slot, arguments, base) for slot in _slots(arguments)}
        yield from self._newton(arguments, gaps, slopes)
        if self.thorough:
            yield from self._scan(arguments, base, gaps, slopes)
            yield from self._items(arguments, slopes)

    def _items(self, arguments: Arguments, slots: Iterable[_Slot]) -> Iterator[Arguments]:
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
            moves = (self._move(slot, arguments, builds[0]) for slot in _slots(arguments))
            builds += [build for _, build in moves]
        return builds

    def keeps_together(self, builds: list[Features]) -> bool:
        """Return whether what is always equal, or always whole, is so in the target."""
        if not builds:
            return False
        lists = _members(builds[0], _growing(builds))
        uneven = tuple(f"{m}." for m, children in lists.items() if not _alike(children))
        sizes = defaultdict(set)
        for key in builds[0].keys() & self.wanted.keys():
            values = tuple(build.get(key) for build in builds)
            if len({*values} - {None}) > 1 and not key.startswith(uneven):
                sizes[values].add(self.wanted[key])
        even = {m for m in lists if not m.startswith(uneven)}
        innermost = {m for m in even if not any(other.startswith(f"{m}.") for other in lists)}
        theirs = _members(self.wanted, innermost)
        names = {m: [*map(frozenset, lists[m] + children)] for m, children in theirs.items()}
        return all(len(wanted) == 1 for wanted in sizes.values()) and all(
            _alike(names[m]) for m in theirs if _alike(names[m][: len(lists[m])])
        )

    def _move(self, slot: _Slot, arguments: Arguments, base: Features) -> tuple[Any, Features]:
        """Return a step of a slot that changes some sizes, and what it gives; else no step."""
        value = slot.get(arguments)
        for step in (*STEPS, value):
            build = self._build(slot.put(arguments, value + step)) if value + step > 0 else None
            if build and any(base[key] != build[key] for key in base.keys() & build.keys()):
                return step, build
        return 0, base

    def _probe(self, slot: _Slot, arguments: Arguments, base: Features) -> dict[str, Fraction]:
        """Return how fast each feature changes with a slot."""
        step, build = self._move(slot, arguments, base)
        changed = {k: build[k] - base[k] for k in base.keys() & build.keys()}
        return {k: Fraction(change, step) for k, change in changed.items() if change}

    def _newton(
        self, arguments: Arguments, gaps: Features, slopes: dict[_Slot, dict[str, Fraction]]
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
                wish = _rounded(wishes.most_common(1)[0][0], value) if wishes else None
                if wish is not None and wish != value and slot not in known:
                    updates[slot] = wish
            yield from _with_updates(arguments, updates)

    def _scan(
        self,
        arguments: Arguments,
        base: Features,
        gaps: Features,
        slopes: dict[_Slot, dict[str, Fraction]],
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


def _with_updates(arguments: Arguments, updates: Mapping[_Slot, Any]) -> Iterator[Arguments]:
    """Yield the arguments with all updates, then with each alone."""
    together = arguments
    for slot, value in updates.items():
        together = slot.put(together, value)
    yield together
    for slot, value in updates.items():
        yield slot.put(arguments, value)


def _sets(arguments: Arguments) -> list[str]:
    """Return the names of arguments that may be sets of scales."""
    return [
        name
        for name, value in arguments.items()
        if isinstance(value, tuple) and len(set(value)) == len(value) > 0
        if all(member in SCALES for member in value)
    ]


def _with_other_members(arguments: Arguments) -> Iterator[Arguments]:
    """Yield the arguments with a scale more or less in a set of them."""
    for name in _sets(arguments):
        members = set(arguments[name])
        for scale in SCALES:
            yield arguments | {name: tuple(sorted(members ^ {scale}))}


def _rounded(value: Fraction | float, like: Any) -> Any:
    """Return a wished value as the slot's type, or None if it cannot have it."""
    if value <= 0:
        return None
    return float(value) if isinstance(like, float) else max(1, round(value))
