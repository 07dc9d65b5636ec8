"""Where networks compute, and in what type."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from sr_zoo.errors import DeviceError, OptionError
from sr_zoo.network import SRNetwork

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def place(
    network: SRNetwork, device: str | torch.device | None, dtype: torch.dtype | None
) -> SRNetwork:
    """Move a network to a device and type; None for where, and what, it is.

    Raises:
        DeviceError: There is no such device here.
        OptionError: `dtype` is no floating-point type.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise OptionError(
            f"dtype={dtype!r} is no type for weights; it is a floating-point type such as "
            "torch.bfloat16, or None for float32"
        )
    return network.to(device=None if device is None else pick_device(device), dtype=dtype)


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device to compute on; ``"auto"`` is CUDA where present, else the CPU.

    Raises:
        DeviceError: There is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise DeviceError(f"Unknown device {device!r}; use auto, cpu, cuda or cuda:0") from None
    present = torch.cuda.device_count() if chosen.type == "cuda" else 1
    if chosen.type == "cuda" and (chosen.index or 0) >= present:
        has = f"{present} CUDA devices" if present else "no CUDA device"
        raise DeviceError(f"Device {device!r} asked for, but torch finds {has}; use device='cpu'")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(f"Device {device!r} asked for, but torch finds no MPS; use device='cpu'")
    if chosen.type not in ("cuda", "mps"):
        _try(chosen)
    return chosen


def _try(device: torch.device) -> None:
    """Find out whether a device of the many that torch has names for can be used."""
    try:
        torch.empty(0, device=device)
    except (AssertionError, ImportError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise DeviceError(
            f"Device '{device}' cannot be used here ({reason}); use device='cpu'"
        ) from error


def made_on_cpu(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let tensors be made on the CPU, also where users set another device for all new ones."""

    @wraps(method)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if torch.get_default_device().type == "cpu":  # what is entered costs each operation time
            return method(*args, **kwargs)
        with torch.device("cpu"):
            return method(*args, **kwargs)

    return run
