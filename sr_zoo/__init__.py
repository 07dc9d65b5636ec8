"""Efficient image super-resolution networks, verified against their authors' own.

`import sr_zoo` loads neither torch nor timm: public names are imported when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sr_zoo.api import create_model, load_model
    from sr_zoo.catalogue import ModelInfo, list_models, model_info
    from sr_zoo.errors import SRZooError
    from sr_zoo.evaluation.recommend import recommend
    from sr_zoo.fusion import fuse
    from sr_zoo.inference.upscale import Upscaler, upscale
    from sr_zoo.notebook import compare
    from sr_zoo.registration import register_model
    from sr_zoo.training.recipe import Recipe
    from sr_zoo.training.trainer import train
    from sr_zoo.training.zero_shot import zero_shot

_EXPORTS = {
    "ModelInfo": "sr_zoo.catalogue",
    "Recipe": "sr_zoo.training.recipe",
    "SRZooError": "sr_zoo.errors",
    "Upscaler": "sr_zoo.inference.upscale",
    "compare": "sr_zoo.notebook",
    "create_model": "sr_zoo.api",
    "fuse": "sr_zoo.fusion",
    "list_models": "sr_zoo.catalogue",
    "load_model": "sr_zoo.api",
    "model_info": "sr_zoo.catalogue",
    "recommend": "sr_zoo.evaluation.recommend",
    "register_model": "sr_zoo.registration",
    "train": "sr_zoo.training.trainer",
    "upscale": "sr_zoo.inference.upscale",
    "zero_shot": "sr_zoo.training.zero_shot",
}

_MODULES = ("blocks", "dynamic", "errors", "evaluation", "export", "training", "visualize")

__all__ = [
    "ModelInfo",
    "Recipe",
    "SRZooError",
    "Upscaler",
    "__version__",
    "compare",
    "create_model",
    "fuse",
    "list_models",
    "load_model",
    "model_info",
    "recommend",
    "register_model",
    "train",
    "upscale",
    "zero_shot",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:  # importing one makes it an attribute
        return import_module(f"{__name__}.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS, *_MODULES})
