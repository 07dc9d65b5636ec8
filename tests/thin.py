"""Arguments that make a network narrow and quick without changing its graph or what it sees."""

from typing import Any

import sr_zoo.registry
from sr_zoo.network import SRNetwork
from sr_zoo.registry import spec_of

THIN: dict[str, dict[str, Any]] = {
    "arm": {"channels": 8},
    "asconvsr": {"channels": 4},
    "awsrn": {"channels": 4, "hidden": 8},
    "bsrn": {"channels": 16},
    "carn": {"channels": 8},
    "cfsr": {"channels": 4},
    "craft": {"channels": 12},
    "dat": {"channels": 32, "num_heads": 2},
    "ddistill_sr": {"channels": 8, "rank": 4},
    "dgsr": {"channels": 4, "num_heads": 1},
    "ditn": {"channels": 4},
    "dlgsanet": {"channels": 12},
    "drsan": {"channels": 4},
    "edsr": {"channels": 4},
    "elan": {"channels": 15},
    "esrt": {"channels": 16},
    "fiwhn": {"channels": 16},
    "hffn": {"channels": 13},
    "imdn": {"channels": 16},
    "ipt": {"channels": 4, "depth": 1, "num_heads": 4},
    "lamnet": {"channels": 8},
    "lden": {"channels": 4},
    "mobilesr": {"channels": 8, "num_heads": 2},
    "omnisr": {"channels": 8},
    "pan": {"channels": 4, "up_channels": 4},
    "quicksrnet": {"channels": 4},
    "ramit": {"channels": 16, "fusion_groups": 1},
    "rcan": {"channels": 4, "reduction": 4},
    "rdan": {"channels": 8, "reduction": 4},
    "rfdn": {"channels": 8},
    "rlfn": {"channels": 4, "hidden": 4, "esa_channels": 2},
    "rrdbnet": {"channels": 4, "growth": 2},
    "safmn": {"channels": 4},
    "safmnpp": {"channels": 6, "hidden": 2},
    "scnet": {"channels": 8},
    "seemore": {"channels": 4},
    "shufflemixer": {"channels": 16},
    "smfanet": {"channels": 4},
    "smsr": {"channels": 16},
    "span": {"channels": 4},
    "srcnn": {"channels": 4, "hidden": 4},
    "srformer": {"channels": 12, "num_heads": 2},
    "srvgg": {"channels": 4},
    "swin2sr": {"channels": 12, "num_heads": 2},
    "swinir": {"channels": 12, "num_heads": 2},
    "tcfdn": {"channels": 12, "distilled": 6},
    "tcsr": {"channels": 4, "num_heads": 1},
    "vdsr": {"channels": 4},
}


def build_thin(name: str, scale: int, **overrides: Any) -> SRNetwork:
    spec = spec_of(name)
    thin = THIN.get(sr_zoo.registry.family_of(name), {})
    return spec.network(**{**spec.variants[name].resolve(scale), **thin, **overrides})
