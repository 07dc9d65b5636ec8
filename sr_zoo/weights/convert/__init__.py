"""Someone else's tensor names to ours: one module per architecture family, each with a `CONVERTER`.

A family whose checkpoints exist in our layout only has no module here.
"""

from importlib import import_module
from importlib.util import find_spec

from sr_zoo.weights.convert.rules import Converter, Reshape, Rule, nest

__all__ = ["Converter", "Reshape", "Rule", "converter_of", "nest"]


def converter_of(family: str) -> Converter | None:
    """Return the converter of an architecture family, or None if it has no layout but ours."""
    name = f"{__name__}.{family}"
    if find_spec(name) is None:
        return None
    converter: Converter = import_module(name).CONVERTER
    return converter
