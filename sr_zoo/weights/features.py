"""What shapes say of a network's size: how long every axis is, how many children a list has.

And which of these always change together, whatever the arguments are.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

from sr_zoo.weights.loading import Shapes

Features: TypeAlias = dict[str, int]


def features_of(named: Shapes) -> Features:
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


def keeps_together(wanted: Features, builds: Sequence[Features]) -> bool:
    """Return whether what is always equal, or always whole, is so in the features wanted.

    Args:
        wanted: Of the network sought.
        builds: Of networks with other numbers among their arguments.
    """
    if not builds:
        return False
    lists = _members_of(builds[0], _growing(builds))
    uneven = tuple(f"{m}." for m, children in lists.items() if not _alike(children))
    sizes = defaultdict(set)
    for key in builds[0].keys() & wanted.keys():
        values = tuple(build.get(key) for build in builds)
        if len({*values} - {None}) > 1 and not key.startswith(uneven):
            sizes[values].add(wanted[key])
    even = {m for m in lists if not m.startswith(uneven)}
    innermost = {m for m in even if not any(other.startswith(f"{m}.") for other in lists)}
    theirs = _members_of(wanted, innermost)
    names = {m: [*map(frozenset, lists[m] + children)] for m, children in theirs.items()}
    return all(len(lengths) == 1 for lengths in sizes.values()) and all(
        _alike(names[m]) for m in theirs if _alike(names[m][: len(lists[m])])
    )


def _growing(builds: Sequence[Features]) -> set[str]:
    """Return the modules whose number of children differs."""
    counts = defaultdict(set)
    for key, count in itertools.chain.from_iterable(build.items() for build in builds):
        if key.endswith("#"):
            counts[key.removesuffix("#")].add(count)
    return {module for module, seen in counts.items() if len(seen) > 1}


def _members_of(features: Features, modules: Collection[str]) -> dict[str, list[Features]]:
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
