"""How long a call takes, on whatever device it computes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


@dataclass(frozen=True)
class Timed(Generic[Result]):
    """What a call returned, and how long it took.

    Attributes:
        result: Of the call.
        seconds: That passed.
        cpu_seconds: That all threads of this process together computed meanwhile.
    """

    result: Result
    seconds: float
    cpu_seconds: float


def timed(function: Callable[..., Result], *arguments: object) -> Timed[Result]:
    """Call a function and time it; with arguments on a GPU, until that has finished."""
    devices = {each.device.type for each in arguments if isinstance(each, Tensor)}
    _wait(devices)
    start, computed = time.perf_counter(), time.process_time()
    result = function(*arguments)
    _wait(devices)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - computed
    # Windows' clock of processes stands still for 16 ms at a time
    return Timed(result, seconds, cpu_seconds or seconds)


def _wait(devices: set[str]) -> None:
    if "cuda" in devices:
        torch.cuda.synchronize()
    if "mps" in devices:
        torch.mps.synchronize()
