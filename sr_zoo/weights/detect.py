"""Which network a weight file belongs to, told by the names and shapes of its tensors alone.

Every architecture is compared in its own layout and, through its converter, in the authors'. It
needs nothing written for this: named variants are compared as they are, and other sizes are found
by asking the network's constructor (`sr_zoo.weights.solve`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from torch import Tensor

from sr_zoo.errors import CheckpointError
from sr_zoo.registry import MODELS, spec_of, specs_of
from sr_zoo.spec import ArchSpec
from sr_zoo.weights.cache import sha256_of
from sr_zoo.weights.checkpoint import Checkpoint
from sr_zoo.weights.convert import layouts_of
from sr_zoo.weights.loading import Shapes, differences, shapes
from sr_zoo.weights.manifest import load_manifest
from sr_zoo.weights.solve import Arguments, defaults_of, shapes_of, solve

LARGEST = 1024  # of the numbers in a file's metadata that are no size of any of its tensors
ALIKE = 0.35  # share of name patterns in common from which a family is looked at


@dataclass(frozen=True)
class Detection:
    """What a checkpoint was recognised as.

    Attributes:
        model: Name that the file states or of the variant with these arguments; None without one.
        spec: Architecture.
        arguments: Complete arguments of the network's constructor.
        layout: ``"ours"`` or ``"official"``, whose names the tensors have.
    """

    model: str | None
    spec: ArchSpec
    arguments: dict[str, Any]
    layout: str

    @property
    def name(self) -> str:
        """The model's name, or that of the architecture's first variant where it has none."""
        return self.model or min(self.spec.variants)


@dataclass(frozen=True)
class _Reading:
    """The checkpoint's tensors seen as those of one architecture, under our names."""

    spec: ArchSpec
    layout: str
    tensors: Mapping[str, Tensor]
    likeness: float

    @property
    def shapes(self) -> Shapes:
        return shapes(self.tensors)

    @property
    def patterns(self) -> set[str]:
        return {_pattern(name) for name in self.tensors}


def detect(checkpoint: Checkpoint, *, scale: int | None = None) -> Detection:
    """Recognise a checkpoint.

    Args:
        checkpoint: In our layout or the authors', of a named variant or of any other size.
        scale: Upscaling factor, for the few networks in which it leaves no trace.

    Raises:
        CheckpointError: No network fits (the message says what was closest and what did not fit),
            or several do.
    """
    if checkpoint.metadata.get("architecture") in MODELS and "arguments" in checkpoint.metadata:
        return _from_metadata(checkpoint)
    promising: list[_Reading] = []
    found: list[Detection] = []
    for readings in (_official(checkpoint), _ours(checkpoint)):  # the quicker one first
        alike = [reading for reading in readings if reading.likeness >= ALIKE]
        promising += alike
        found = found or [detection for reading in alike for detection in _named(reading)]
        if found:
            break
    promising.sort(key=lambda reading: -reading.likeness)
    if not found:
        quick = (_sized(reading, thorough=False) for reading in promising)
        thorough = (_sized(reading, thorough=True) for reading in promising[:2])
        found = next(filter(None, chain(quick, thorough)), [])
    if not found:
        raise CheckpointError(_explain(promising))
    return _only(_known_file(checkpoint, found) or found, scale)


def _known_file(checkpoint: Checkpoint, found: list[Detection]) -> list[Detection]:
    """Return those of several networks that the manifest names for this very file."""
    if len(found) == 1 or checkpoint.path is None:
        return found
    entries = load_manifest().by_sha256(sha256_of(checkpoint.path))
    named = {(entry.model, entry.scale) for entry in entries}
    return [d for d in found if (d.model, d.arguments["scale"]) in named]


def _from_metadata(checkpoint: Checkpoint) -> Detection:
    """Believe what a file of ours says of itself, if its tensors agree."""
    name = checkpoint.metadata["architecture"]
    arguments = json.loads(checkpoint.metadata["arguments"])
    spec = spec_of(name)
    tensors = shapes(checkpoint.tensors)
    limit = max(LARGEST, *(size for shape in tensors.values() for size in shape))
    plausible = isinstance(arguments, dict) and _largest(arguments) <= limit
    if not plausible or shapes_of(spec.network, _as_tuples(arguments)) != tensors:
        raise CheckpointError(
            f"The file's metadata say {name} with the arguments {arguments}, "
            "but its tensors are not those of such a network."
        )
    arguments = _as_tuples(arguments)
    return Detection(name, spec, arguments, "ours")


def _largest(value: Any) -> float:
    """Return the largest number or length anywhere in JSON data."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return max([len(value), *map(_largest, value)])
    return abs(value) if isinstance(value, int | float) else 0


def _as_tuples(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as constructors take them: JSON has no tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}


@cache
def _architectures() -> tuple[ArchSpec, ...]:
    return tuple(spec for family in sorted(set(MODELS.values())) for spec in specs_of(family))


def _official(checkpoint: Checkpoint) -> Iterator[_Reading]:
    for tensors in checkpoint.readings():
        for spec in _architectures():
            for converter in layouts_of(spec.network):
                if converter.unknown(tensors):
                    continue
                with suppress(CheckpointError):
                    converted = converter.load(tensors)
                    yield _Reading(spec, "official", converted, _likeness(spec, converted))


def _ours(checkpoint: Checkpoint) -> Iterator[_Reading]:
    for spec in _architectures():
        tensors = checkpoint.tensors
        yield _Reading(spec, "ours", tensors, _likeness(spec, tensors))


def _pattern(name: str) -> str:
    return re.sub(r"\d+", "#", name)


@cache
def _patterns(first: str) -> frozenset[str]:
    """Return the tensor names of the variants beside a model, numbers left out."""
    return frozenset(
        _pattern(tensor)
        for name, variant in spec_of(first).variants.items()
        for scale in {variant.scales[0], variant.scales[-1]}
        for tensor in _shapes(name, scale)
    )


@cache
def _shapes(name: str, scale: int) -> Shapes:
    spec = spec_of(name)
    return shapes_of(spec.network, _variants(spec)[name, scale]) or {}


def _likeness(spec: ArchSpec, tensors: Mapping[str, Tensor]) -> float:
    theirs = {_pattern(name) for name in tensors}
    ours = _patterns(min(spec.variants))
    return len(theirs & ours) / max(1, len(theirs | ours))


def _variants(spec: ArchSpec) -> dict[tuple[str, int], Arguments]:
    """Return the complete arguments of every variant at every scale."""
    defaults = defaults_of(spec.network)
    return {
        (name, scale): defaults | variant.resolve(scale)
        for name, variant in spec.variants.items()
        for scale in variant.scales
    }


def _variant_of(spec: ArchSpec, arguments: Arguments) -> str | None:
    same = (name for (name, _), known in _variants(spec).items() if known == arguments)
    return next(same, None)


def _named(reading: _Reading) -> list[Detection]:
    """Return the variants that have exactly these tensors."""
    return [
        Detection(name, reading.spec, arguments, reading.layout)
        for (name, scale), arguments in _variants(reading.spec).items()
        if _shapes(name, scale) == reading.shapes
    ]


def _sized(reading: _Reading, *, thorough: bool) -> list[Detection]:
    """Return networks in sizes that no variant has, once per scale that fits."""
    spec = reading.spec
    if not reading.patterns <= _patterns(min(spec.variants)):
        return []
    starts = _starts(reading)
    for start in starts[:1] if thorough else starts:
        found = solve(spec.network, reading.shapes, start, thorough=thorough)
        if found:
            return [
                Detection(_variant_of(spec, arguments), spec, arguments, reading.layout)
                for arguments in found
            ]
    return []


def _starts(reading: _Reading) -> list[Arguments]:
    """Return the variants' arguments, those most like the checkpoint first, whatever the scale."""
    target = reading.shapes.items()
    variants = sorted(
        _variants(reading.spec).items(),
        key=lambda item: len(_shapes(*item[0]).items() & target),
    )
    best = {repr(arguments | {"scale": None}): arguments for _, arguments in variants}
    return list(reversed(best.values()))


def _only(found: list[Detection], scale: int | None) -> Detection:
    """Return the one network that was found.

    Raises:
        CheckpointError: There are several, or none at `scale`.
    """
    by_build = {repr((d.spec.network, sorted(d.arguments.items()))): d for d in found}
    distinct = [d for d in by_build.values() if scale in (None, d.arguments["scale"])]
    if len(distinct) == 1:
        return distinct[0]
    names = ", ".join(f"{d.name} x{d.arguments['scale']}" for d in by_build.values())
    if not distinct:
        raise CheckpointError(f"These tensors are not of scale {scale}, they fit {names}.")
    raise CheckpointError(
        f"These tensors fit {len(distinct)} networks: {names}. "
        "sr_zoo.create_model(NAME, SCALE, checkpoint=FILE) loads the file as the one you name."
    )


def _explain(promising: list[_Reading]) -> str:
    if not promising:
        return "No network of the library has tensors with names like these."
    closest = promising[0]
    known = {key: _shapes(*key) for key in _variants(closest.spec)}
    name, scale = max(known, key=lambda key: len(known[key].items() & closest.shapes.items()))
    return (
        f"No network of the library has these tensors. The closest is {name} x{scale}, of which "
        f"{differences(closest.shapes, known[name, scale])}."
    )
