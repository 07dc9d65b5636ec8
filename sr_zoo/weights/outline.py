"""Names and shapes of the tensors that constructor arguments give a network, without numbers.

The constructor itself is asked. It runs on outlines, which take no memory.
"""

from __future__ import annotations

import inspect
from math import inf
from typing import Any, TypeAlias

import torch

from sr_zoo.network import SRNetwork
from sr_zoo.weights.loading import Shapes, Uninitialised, shapes

Arguments: TypeAlias = dict[str, Any]

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
