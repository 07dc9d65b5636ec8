"""Networks from the registry by their models' names, with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, signature
from numbers import Integral
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from sr_zoo.errors import ModelArgumentError, ScaleNotAvailableError, did_you_mean
from sr_zoo.registry import spec_of

if TYPE_CHECKING:
    from sr_zoo.network import Identity, SRNetwork

DEFAULT_SCALE = 4

# the types that networks' arguments are made of, for messages
_WORDS = {int: "a whole number", float: "a number", bool: "True or False", NoneType: "None"}

# what a network's layers and torch's raise for arguments that they cannot use
_REFUSALS = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)


def variant_arguments(name: str, scale: int) -> dict[str, Any]:
    """Return every constructor argument of a model at a scale, `scale` included.

    Raises:
        UnknownModelError: No model has this name.
        ScaleNotAvailableError: The model is not defined at this scale.
    """
    spec = spec_of(name)
    variant = spec.variants[name]
    scales = ", ".join(map(str, variant.scales))
    if not isinstance(scale, Integral):  # 4.0 equals 4, but no layer can be built with it
        raise ScaleNotAvailableError(
            f"scale={scale!r} is no whole number; {name} is defined at scales {scales}"
        )
    if scale not in variant.scales:
        raise ScaleNotAvailableError(
            f"{name} is not defined at scale {scale!r}; its scales: {scales}. "
            f"`sr-zoo list --scale {scale}` or sr_zoo.list_models(scale={scale}) names models that "
            "are."
        )
    parameters = signature(spec.network.__init__).parameters
    defaults = {
        key: parameter.default
        for key, parameter in parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }
    return {**defaults, **variant.resolve(int(scale))}


def built_as_registered(identity: Identity) -> bool:
    """Whether a network has its model's own arguments: none of another width or depth."""
    return identity.arguments == variant_arguments(identity.name, identity.arguments["scale"])


def build(name: str, scale: int, overrides: dict[str, Any]) -> SRNetwork:
    """Build a network with random weights and note in it how it was built.

    Args:
        name: Of the model.
        scale: Upscaling factor.
        overrides: Constructor arguments that differ from the model's own.

    Returns:
        The network in evaluation mode.

    Raises:
        UnknownModelError: No model has this name.
        ScaleNotAvailableError: The model is not defined at this scale.
        ModelArgumentError: The network takes no such argument, or not with this value.
    """
    import torch

    from sr_zoo.network import Identity

    network_class = spec_of(name).network
    defaults = variant_arguments(name, scale)
    for key in overrides:
        if key not in defaults or key == "scale":
            raise ModelArgumentError(_unknown_argument(name, key, defaults))
    arguments = {**defaults, **{key: _plain(value) for key, value in overrides.items()}}
    try:
        _check_types(network_class, {key: arguments[key] for key in overrides})
        _check_not_negative(overrides, defaults)
        if overrides:  # what does not fit together may show only where the network runs
            with torch.device("meta"), torch.no_grad():
                network_class(**arguments).eval()(torch.empty(1, 3, 64, 64))
        network = network_class(**arguments)
    except _REFUSALS as error:
        given = ", ".join(f"{key}={value!r}" for key, value in overrides.items())
        reason = str(error).partition("\n")[0]  # behind it torch lists what its functions take
        raise ModelArgumentError(f"{name} cannot be built with {given}: {reason}") from error
    network.identity = Identity(name, arguments)
    return network.eval()


def _plain(value: Any) -> Any:
    """Return an argument in the types of JSON, lists as tuples; NumPy's numbers have others."""
    import numpy as np

    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _check_types(network_class: type[SRNetwork], overrides: dict[str, Any]) -> None:
    """Raise TypeError for arguments of other types than the constructor says."""
    hints = get_type_hints(network_class.__init__)
    for key, value in overrides.items():
        if not _fits(value, hints.get(key, Any)):
            raise TypeError(f"{key} must be {_in_words(hints[key])}, got {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (tuple, Sequence):
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if inner:  # of a union
        return any(_fits(value, one) for one in inner)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    # True is no count, though Python's bool is an int; of what others annotate, nothing is known
    return type(value) is hint or hint not in _WORDS


def _in_words(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (tuple, Sequence):
        return f"a list, each item {_in_words(inner[0])}"
    if inner:
        return " or ".join(map(_in_words, inner))
    return _WORDS[hint]


def _check_not_negative(overrides: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Raise ValueError for whole numbers below zero, which Python takes for none of something."""
    for key, value in overrides.items():
        numbers = value if isinstance(value, (list, tuple)) else (value,)
        measured = isinstance(defaults[key], float)  # rather than counted
        if not measured and any(isinstance(n, int) and n < 0 for n in numbers):
            raise ValueError(f"{key} must not be negative")


def _unknown_argument(name: str, key: str, defaults: dict[str, Any]) -> str:
    allowed = [argument for argument in defaults if argument != "scale"]
    hint = did_you_mean(key, allowed)
    return f"{name} takes no argument {key!r}.{hint} It takes: {', '.join(allowed) or 'none'}"


def has_shapes_of(network: SRNetwork, name: str, scale: int) -> bool:
    """Whether a network built with overrides still has the tensors of its variant."""
    import torch

    with torch.device("meta"):
        plain = build(name, scale, {})
    ours, theirs = network.state_dict(), plain.state_dict()
    return {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
