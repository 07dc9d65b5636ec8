"""Someone else's tensor names to ours: one module per architecture family, each with a `CONVERTER`.

That is the authors' layout. A module may add `OTHER_FORMS`, the converters of those networks of the
family (by class name) that `CONVERTER` does not fit, None where such a network has no layout but
ours, and `OTHER_LAYOUTS`, converters of layouts that others gave the weights of the family's main
form. A family whose checkpoints exist in our layout only has no module here.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sr_zoo.weights.convert.rules import Converter, Reshape, Rule, nest

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Converter", "Reshape", "Rule", "converter_of", "layouts_of", "nest"]


def version_of(family: str) -> str:
    """Return a digest of the rules that convert a family; it changes when they do."""
    folder = Path(__file__).parent
    names = ("__init__.py", "rules.py", "shared.py", f"{family}.py")
    files = [folder / name for name in names]
    return sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def converter_of(network: type[nn.Module]) -> Converter | None:
    """Return the converter of the authors' layout, or None if there is no layout but ours.

    Args:
        network: A class in a module of `sr_zoo.models`.
    """
    layouts = layouts_of(network)
    return layouts[0] if layouts else None


def layouts_of(network: type[nn.Module]) -> tuple[Converter, ...]:
    """Return the converters of all layouts of a network's weights but ours, the authors' first.

    Args:
        network: A class in a module of `sr_zoo.models`; those of other packages have none.
    """
    package, _, family = network.__module__.rpartition(".")
    name = f"{__name__}.{family}"
    if package != "sr_zoo.models" or find_spec(name) is None:
        return ()
    module = import_module(name)
    forms: dict[str, Converter | None] = getattr(module, "OTHER_FORMS", {})
    if network.__name__ in forms:
        form = forms[network.__name__]
        return () if form is None else (form,)
    return (module.CONVERTER, *getattr(module, "OTHER_LAYOUTS", ()))
