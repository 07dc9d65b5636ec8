"""Someone else's tensor names to ours: one module per architecture family, each with a `CONVERTER`.

That is the authors' layout. A module may add `OTHER_LAYOUTS`, converters of layouts that others
gave the same weights. A family whose checkpoints exist in our layout only has no module here.
"""

from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from sr_zoo.weights.convert.rules import Converter, Reshape, Rule, nest

__all__ = ["Converter", "Reshape", "Rule", "converter_of", "layouts_of", "nest"]


def version_of(family: str) -> str:
    """Return a digest of the rules that convert a family; it changes when they do."""
    folder = Path(__file__).parent
    names = ("__init__.py", "rules.py", "shared.py", f"{family}.py")
    files = [folder / name for name in names]
    return sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def converter_of(family: str) -> Converter | None:
    """Return the converter of the authors' layout, or None if a family has no layout but ours."""
    layouts = layouts_of(family)
    return layouts[0] if layouts else None


def layouts_of(family: str) -> tuple[Converter, ...]:
    """Return the converters of all layouts of a family but ours, the authors' first."""
    name = f"{__name__}.{family}"
    if find_spec(name) is None:
        return ()
    module = import_module(name)
    return (module.CONVERTER, *getattr(module, "OTHER_LAYOUTS", ()))
