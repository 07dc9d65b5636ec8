"""Which network a weight file belongs to, told by the names and shapes of its tensors alone.

Every architecture is compared in its own layout and, through its converter, in the authors'. It
needs nothing written for this: named variants are compared as they are, and other sizes are found
by asking the network's constructor (`sr_zoo.weights.solve`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain
from math import prod
from typing import Any

from torch import Tensor

from sr_zoo.errors import CheckpointError
from sr_zoo.registry import MODELS, families, spec_of, specs_of
from sr_zoo.spec import ArchSpec
from sr_zoo.weights.checkpoint import Checkpoint, first
from sr_zoo.weights.convert import Converter, layouts_of
from sr_zoo.weights.loading import Shapes, differences, shapes
from sr_zoo.weights.manifest import Entry
from sr_zoo.weights.outline import Arguments, defaults_of, shapes_of
from sr_zoo.weights.solve import Builds, reachable, solve

LARGEST = 1024  # of the numbers in a file's metadata that are no size of any of its tensors
FUSING = 16  # how often more tensors, and numbers, a network may have before it is fused
SHOWN = 200  # characters of a file's metadata in a message
KNOWN = 0.35  # share of a file's name patterns that a network must have for it to be looked at
USED = 0.1  # share of a converter's rules that a file must use; few general ones match anything


@dataclass(frozen=True)
class Detection:
    """What a checkpoint was recognised as.

    Attributes:
        model: Name that the file states or of the variant with these arguments; None without one.
        spec: Architecture.
        arguments: Complete arguments of the network's constructor.
        layout: ``"ours"`` or ``"official"``, whose names the tensors have.
        fused: Whether they are of the deployed form that `sr_zoo.fuse` gives.
    """

    model: str | None
    spec: ArchSpec
    arguments: dict[str, Any]
    layout: str
    fused: bool = False

    @property
    def name(self) -> str:
        """The model's name, or that of the architecture's first variant where it has none."""
        return self.model or min(self.spec.variants)


@dataclass(frozen=True)
class _Reading:
    """The checkpoint's tensors seen as those of one architecture.

    Attributes:
        spec: The architecture.
        converter: From the tensors' layout to ours; None if they have our names.
        tensors: As in the file.
        known: Share of the name patterns that the architecture has.
        used: Share of the converter's rules that some name falls under.
        builds: What sizes of the architecture have been built to compare them.
    """

    spec: ArchSpec
    converter: Converter | None
    tensors: Mapping[str, Tensor]
    known: float
    used: float
    builds: Builds = field(default_factory=dict)

    @property
    def layout(self) -> str:
        return "ours" if self.converter is None else "official"

    @cached_property
    def unknown(self) -> list[str]:
        """Names in the file that have no place in the architecture."""
        return [] if self.converter is None else self.converter.unknown(self.tensors)

    @cached_property
    def shapes(self) -> Shapes:
        """What is known, under our names; nothing where the tensors do not fit together."""
        if self.converter is None:
            return shapes(self.tensors)
        known = {name: self.tensors[name] for name in self.tensors.keys() - set(self.unknown)}
        with suppress(CheckpointError):
            return shapes(self.converter.load(known))
        return {}

    @property
    def patterns(self) -> set[str]:
        return _patterns_in(self.shapes)


def detect(
    checkpoint: Checkpoint, *, scale: int | None = None, known_as: Collection[Entry] = ()
) -> Detection:
    """Recognise a checkpoint.

    Args:
        checkpoint: In our layout or the authors', of a named variant or of any other size.
        scale: Upscaling factor, for the few networks in which it leaves no trace.
        known_as: What the manifest calls the very file; decides where several networks fit.

    Raises:
        CheckpointError: No network fits (the message says what was closest and what did not fit),
            or several do.
    """
    stated = checkpoint.metadata.get("architecture")
    if stated in MODELS and "arguments" in checkpoint.metadata:
        return _only([_from_metadata(checkpoint)], scale)
    readings = sorted(_readings(checkpoint), key=lambda r: (r.known, r.used), reverse=True)
    whole = [reading for reading in readings if reading.known == 1]
    found = [detection for reading in whole for detection in _named(reading)]
    if not found:
        whole = [reading for reading in whole if reading.patterns <= _patterns(reading.spec)]
        quick = (_sized(reading, thorough=False) for reading in whole)
        thorough = (_sized(reading, thorough=True) for reading in whole[:2])
        found = next(filter(None, chain(quick, thorough)), [])
        found += [twin for reading in whole for twin in _twins(found, reading)]
    if not found and stated is not None and stated not in MODELS:
        raise CheckpointError(
            f"The file says that it is of {stated}, which is no model here; import the package "
            "that registers it first (sr_zoo.register_model)."
        )
    if not found:
        raise CheckpointError(_explain(readings))
    named = {(entry.model, entry.scale) for entry in known_as}
    return _only([d for d in found if (d.model, d.arguments["scale"]) in named] or found, scale)


def variants_with(checkpoint: Checkpoint) -> list[tuple[str, int]]:
    """Return the models, each with its scale, that have exactly a checkpoint's tensors.

    Other sizes, which take longer to find, are left out.
    """
    whole = (reading for reading in _readings(checkpoint) if reading.known == 1)
    found = (detection for reading in whole for detection in _named(reading))
    return list(dict.fromkeys((d.name, d.arguments["scale"]) for d in found))


def _readings(checkpoint: Checkpoint) -> Iterator[_Reading]:
    """Yield the architectures that the names may be of, without building any but a few."""
    for tensors in checkpoint.readings():
        examples = {_pattern(name): name for name in tensors}
        for spec in _architectures():
            for converter in layouts_of(spec.network):
                known, used = converter.familiarity(examples.values(), ours=False)
                if known >= KNOWN and used >= USED:
                    yield _Reading(spec, converter, tensors, known, used)
            known, used = _familiarity(spec, examples)
            if known >= KNOWN and used >= USED:
                yield _Reading(spec, None, tensors, known, used)


def _familiarity(spec: ArchSpec, examples: Mapping[str, str]) -> tuple[float, float]:
    """Return how far the names are our names of an architecture, as `Converter.familiarity`."""
    layouts = layouts_of(spec.network)
    if layouts:
        return layouts[0].familiarity(examples.values(), ours=True)
    own = _patterns(spec)
    common = len(own & examples.keys())
    return common / max(1, len(examples)), common / max(1, len(own))


def _from_metadata(checkpoint: Checkpoint) -> Detection:
    """Believe what a file of ours says of itself, if its tensors agree."""
    name, text = checkpoint.metadata["architecture"], checkpoint.metadata["arguments"]
    fused = checkpoint.metadata.get("fused") == "true"  # shapes are then compared after fusing
    spec, arguments = spec_of(name), checkpoint.arguments
    tensors = shapes(checkpoint.tensors)
    limit = max([LARGEST, *(size for shape in tensors.values() if prod(shape) for size in shape)])
    own = None
    if arguments and _largest(arguments) <= limit:
        own = shapes_of(spec.network, arguments, most=FUSING * len(tensors))
    fits = _numbers(own or {}) <= FUSING * _numbers(tensors) if fused else own == tensors
    if own is None or not fits:  # interpolation has no tensors
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        raise CheckpointError(
            f"The file's metadata say {name} with the arguments {shown}, "
            "but its tensors are not those of such a network."
        )
    return Detection(name, spec, arguments, "ours", fused)


def _numbers(tensors: Shapes) -> int:
    return sum(map(prod, tensors.values()))


def _largest(value: Any) -> float:
    """Return the largest number or length anywhere in JSON data."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return max([len(value), *map(_largest, value)])
    return abs(value) if isinstance(value, int | float) else 0


@cache
def _architectures() -> tuple[ArchSpec, ...]:
    return tuple(spec for family in families() for spec in specs_of(family))


def _pattern(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _patterns_in(names: Iterable[str]) -> set[str]:
    return {_pattern(name) for name in names}


def _patterns(spec: ArchSpec) -> frozenset[str]:
    return _patterns_beside(min(spec.variants))


@cache
def _patterns_beside(model: str) -> frozenset[str]:
    """Return the tensor names of a model and of the variants beside it, numbers left out."""
    return frozenset(
        _pattern(tensor)
        for name, variant in spec_of(model).variants.items()
        for scale in {variant.scales[0], variant.scales[-1]}
        for tensor in _shapes(name, scale)
    )


@cache
def _shapes(name: str, scale: int) -> Shapes:
    spec = spec_of(name)
    return shapes_of(spec.network, _variants(spec)[name, scale]) or {}


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
        if _may_be(name, reading) and _shapes(name, scale) == reading.shapes
    ]


def _may_be(name: str, reading: _Reading) -> bool:
    """Tell from one scale of a variant whether the others are worth building."""
    variant = reading.spec.variants[name]
    if variant.scale_arguments:
        return True
    wrong = _differing(_shapes(name, variant.scales[0]), reading.shapes)
    return wrong <= _scaled(min(reading.spec.variants))


@cache
def _scaled(name: str) -> set[str]:
    """Return the tensors of a model that depend on the scale, numbers left out."""
    scales = spec_of(name).variants[name].scales
    return _differing(_shapes(name, scales[0]), _shapes(name, scales[-1]))


def _differing(one: Shapes, other: Shapes) -> set[str]:
    return _patterns_in(name for name, _ in one.items() ^ other.items())


def _sized(reading: _Reading, *, thorough: bool) -> list[Detection]:
    """Return networks in sizes that no variant has, once per scale that fits."""
    starts = [_variants(reading.spec)[key] for key in _starts(reading)]
    if not _may_reach(reading):
        return []
    return _solved(reading, starts[:1] if thorough else starts, thorough=thorough)


def _may_reach(reading: _Reading) -> bool:
    """Tell soon whether some size of an architecture may have these tensors."""
    starts = _starts(reading)
    same_names = _patterns_in(_shapes(*starts[0])) == reading.patterns
    return any(
        reachable(
            reading.spec.network, reading.shapes, _variants(reading.spec)[key], reading.builds
        )
        for key in starts[: 1 if same_names else None]
    )


def _solved(reading: _Reading, starts: list[Arguments], *, thorough: bool) -> list[Detection]:
    spec = reading.spec
    for start in starts:
        found = solve(spec.network, reading.shapes, start, reading.builds, thorough=thorough)
        if found:
            return [
                Detection(_variant_of(spec, arguments), spec, arguments, reading.layout)
                for arguments in found
            ]
    return []


def _twins(found: list[Detection], reading: _Reading) -> list[Detection]:
    """Return networks of an architecture, if it is another one, with the tensors of those found."""
    defaults = defaults_of(reading.spec.network)
    for detection in found:
        if detection.spec.network is reading.spec.network:
            return []
        shared = {k: v for k, v in detection.arguments.items() if k in {"scale", *defaults}}
        starts = [_variants(reading.spec)[key] | shared for key in _starts(reading)]
        twins = _solved(reading, starts, thorough=False)
        if twins:
            return twins
    return []


def _starts(reading: _Reading) -> list[tuple[str, int]]:
    """Return the variants, those most like the checkpoint first, each at its likeliest scale."""
    target = reading.shapes.items()

    def likeness(key: tuple[str, int]) -> tuple[bool, int, int]:
        known = _shapes(*key)
        return _patterns_in(known) == reading.patterns, len(known.items() & target), key[1]

    variants = _variants(reading.spec)
    best: dict[str, tuple[str, int]] = {}
    for key in sorted(variants, key=likeness, reverse=True):
        best.setdefault(repr(variants[key] | {"scale": None}), key)
    return list(best.values())


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
    one_model = len({d.name for d in distinct}) == 1
    how = (
        "load_model(FILE, scale=SCALE)"
        if one_model
        else "create_model(NAME, SCALE, checkpoint=FILE)"
    )
    raise CheckpointError(
        f"These tensors fit {len(distinct)} networks: {names}. "
        f"sr_zoo.{how} loads the file as the one you choose."
    )


def _explain(readings: list[_Reading]) -> str:
    if not readings:
        return "No network of the library has tensors with names like these."
    closest = readings[0]
    known = {key: _shapes(*key) for key in _variants(closest.spec)}
    name, scale = max(known, key=lambda key: len(known[key].items() & closest.shapes.items()))
    unknown = f"{len(closest.unknown)} unexpected: {first(closest.unknown)}"
    problems = (unknown if closest.unknown else "", differences(closest.shapes, known[name, scale]))
    return (
        f"No network of the library has these tensors. The closest is {name} x{scale}, of which "
        f"{'; '.join(filter(None, problems))}."
    )
