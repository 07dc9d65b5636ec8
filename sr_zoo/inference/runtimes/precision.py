"""Which floating-point type a network may run in without its pictures suffering.

What is known comes from real weights on Set14 and lies in `precisions.json`, by model and scale: a
smaller factor leaves sharper pictures, which lose more. `benchmarks/precision.py` writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from sr_zoo.building import built_as_registered
from sr_zoo.errors import OptionError
from sr_zoo.inference.runtimes.prepared import computes_in
from sr_zoo.network import SRNetwork, weight_of

MEASURED = Path(__file__).with_name("precisions.json")
LARGEST_CHANGE = 0.01  # dB of PSNR against the original
LEAST_AGREEMENT = 50.0  # dB of PSNR against the float32 output
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Loss:
    """What a type costs a network, over all images of Set14.

    Attributes:
        change: How far the mean of the images' PSNR lies from what float32 reaches, in dB.
        agreement: PSNR of the output against that of float32, in dB, of the worst image.
    """

    change: float
    agreement: float

    @property
    def harmless(self) -> bool:
        """Whether the type may be chosen without being asked for."""
        return self.change <= LARGEST_CHANGE and self.agreement >= LEAST_AGREEMENT


@cache
def measured_losses() -> dict[tuple[str, int], dict[str, Loss]]:
    """Return what was measured: model name and scale to type to loss."""
    table = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {
        (model, int(scale)): {name: Loss(**loss) for name, loss in losses.items()}
        for model, scales in table.items()
        for scale, losses in scales.items()
    }


def pick_dtype(
    asked: torch.dtype | str | None, network: SRNetwork, device: torch.device, runtime: str = "auto"
) -> torch.dtype:
    """Return the type to compute in.

    Args:
        asked: ``"auto"`` for the fastest that device and runtime compute natively and that was
            measured to be harmless for this model at this scale, built with its own arguments; a
            type or its name for that one; None for float32.
        network: Known to the table by its `identity`.
        device: Where it will run.
        runtime: By what.

    Raises:
        OptionError: `asked` is no floating-point type that networks run in.
    """
    own = weight_of(network).dtype
    if asked is None or (asked == "auto" and own != torch.float32):
        return own
    if isinstance(asked, torch.dtype):
        asked = str(asked).removeprefix("torch.")
    if isinstance(asked, str) and asked in TYPES:
        return TYPES[asked]
    if asked == "int8":
        raise OptionError(
            "int8 is the type of a file: write one with sr-zoo export MODEL --int8 FOLDER, then "
            "give it as the model"
        )
    if asked != "auto":
        raise OptionError(f"dtype must be one of auto, {', '.join(TYPES)}, got {asked!r}")
    identity = network.identity
    losses = {}
    if identity and built_as_registered(identity):
        losses = measured_losses().get((identity.name, network.scale), {})
    for name in _native(device):
        if name in losses and losses[name].harmless and computes_in(runtime, TYPES[name]):
            return TYPES[name]
    return torch.float32


def _native(device: torch.device) -> tuple[str, ...]:
    """Return the types below float32 that a device computes fast, best first."""
    if device.type == "cuda":
        return ("float16", "bfloat16") if torch.cuda.is_bf16_supported() else ("float16",)
    if device.type == "cpu" and _cpu_has_bfloat16():
        return ("bfloat16",)
    return ()


@cache
def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (AMX, or AVX-512 with BF16)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # newer torch
    return any(bool(capabilities.get(feature)) for feature in ("amx_bf16", "avx512_bf16"))
