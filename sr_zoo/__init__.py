"""Efficient image super-resolution networks, verified against their authors' own.

`import sr_zoo` loads neither torch nor timm: public names are imported when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sr_zoo.errors import SRZooError
    from sr_zoo.fusion import fuse

_EXPORTS = {
    "SRZooError": "sr_zoo.errors",
    "fuse": "sr_zoo.fusion",
}

__all__ = [
    "SRZooError",
    "__version__",
    "fuse",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
