"""Arguments that make a network narrow and quick without changing its graph or what it sees."""

from typing import Any

import sr_zoo.registry
from sr_zoo.network import SRNetwork
from sr_zoo.registry import spec_of

THIN: dict[str, dict[str, Any]] = {
    "rdan": {"channels": 8, "reduction": 4},
    "rlfn": {"channels": 4, "hidden": 4, "esa_channels": 2},
    "seemore": {"channels": 4},
}


def build_thin(name: str, scale: int) -> SRNetwork:
    spec = spec_of(name)
    family = sr_zoo.registry.family_of(name)
    return spec.network(**{**spec.variants[name].resolve(scale), **THIN.get(family, {})})
