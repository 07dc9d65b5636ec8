"""Networks of other packages among the models."""

from __future__ import annotations

import re
from inspect import Parameter, signature

from sr_zoo.errors import OptionError
from sr_zoo.network import SRNetwork
from sr_zoo.registry import MODELS, REGISTERED
from sr_zoo.spec import TAGS, ArchSpec

NAME = re.compile(r"[a-z][a-z0-9_]*")  # in ids of weights, a dot follows it


def register_model(spec: ArchSpec) -> None:
    """Let the names of another package's networks stand wherever names of models do.

    Call it where the class is defined, so that every process that imports the class knows its
    names. The same class can be registered again, as when a notebook's cell runs twice.

    Args:
        spec: The class, its variants, and what tiles must know of it. `halo` is believed;
            `sr_zoo.inference.tiling.measure_halo` measures it.

    Raises:
        OptionError: The class is no `SRNetwork` that is built with keywords, `scale` among them; a
            name is another class's already, or not made of small letters, digits and underscores;
            or a tag is not known.
    """
    _check_class(spec)
    _check_tags(spec)
    for name in spec.variants:
        _check_free(name, spec)
    for name in spec.variants:
        MODELS[name] = spec.network.__module__
        REGISTERED[name] = spec


def _check_class(spec: ArchSpec) -> None:
    if not isinstance(spec, ArchSpec):
        raise OptionError(f"register_model takes a sr_zoo.spec.ArchSpec, got {spec!r}")
    network = spec.network
    if not (isinstance(network, type) and issubclass(network, SRNetwork)):
        raise OptionError(
            f"A network must be a subclass of sr_zoo.network.SRNetwork; {network} is none"
        )
    _, *parameters = signature(network.__init__).parameters.values()
    by_position = [p.name for p in parameters if p.kind is not Parameter.KEYWORD_ONLY]
    if by_position or "scale" not in {p.name for p in parameters}:
        raise OptionError(
            f"{network.__name__} must be built as {network.__name__}(*, scale, ...), with keywords "
            f"only, by which files name its arguments; it takes {signature(network)}"
        )


def _check_tags(spec: ArchSpec) -> None:
    if unknown := [tag for tag in spec.tags if tag not in TAGS]:
        raise OptionError(f"Unknown tag {unknown[0]!r}; known are {', '.join(TAGS)}")


def _check_free(name: str, spec: ArchSpec) -> None:
    if not NAME.fullmatch(name):
        raise OptionError(
            f"A model's name is made of small letters, digits and underscores, and {name!r} is not"
        )
    if name not in MODELS:
        return
    if name not in REGISTERED:
        raise OptionError(f"{name} is a model of this library; choose another name")
    ours, theirs = spec.network, REGISTERED[name].network
    if (ours.__module__, ours.__qualname__) != (theirs.__module__, theirs.__qualname__):
        raise OptionError(
            f"{name} is registered for {theirs.__module__}.{theirs.__qualname__} already; choose "
            f"another name for {ours.__module__}.{ours.__qualname__}"
        )
