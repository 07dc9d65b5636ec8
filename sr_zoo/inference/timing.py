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
    """Call a function and time it; with arguments on a CUDA device, until that has finished."""
    cuda = any(isinstance(each, Tensor) and each.is_cuda for each in arguments)
    _wait(cuda)
    start, computed = time.perf_counter(), time.process_time()
    result = function(*arguments)
    _wait(cuda)
    return Timed(result, time.perf_counter() - start, time.process_time() - computed)


def _wait(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()
