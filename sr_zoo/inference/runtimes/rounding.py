"""Activations that round a value alike wherever in a map it lies.

torch computes as many values at a time as fill the processor's registers. What is left over, at the
end of a map or of one thread's part of it, goes through another formula that can differ in the last
bit. Tiles have their ends elsewhere than the whole image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

REGISTERS = 64  # values that torch takes at a time, of the smallest type and the widest registers
GRAIN = 1 << 15  # values that it gives a thread at least; GELU shares larger maps among all threads

Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: tuple[Callable[..., Tensor], ...] = (F.gelu, F.silu, torch.sigmoid, Tensor.sigmoid)


def activate(activation: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Call one of `ACTIVATIONS` so that all values of a map go through the same formula."""
    if len(args) == 1 and "out" not in kwargs and not kwargs.get("inplace", False):
        (x,) = args
        last = x.dim() == 4 and x.stride(1) == 1
        if last:  # its channels may lie among others
            x = x.contiguous(memory_format=torch.channels_last)
        dense = last or x.is_contiguous()
        if dense and not (x.requires_grad and torch.is_grad_enabled()):
            return fill_registers(partial(activation, **kwargs), x)
    return activation(*args, **kwargs)


def fill_registers(activation: Activation, x: Tensor) -> Tensor:
    """Compute an activation, and once more where a thread had values left over.

    Args:
        activation: Of each value alone; it keeps its argument.
        x: On the CPU, without gaps, and no gradient is asked of it.
    """
    result = activation(x)
    ends = _ends_of_parts(x.numel())
    if ends:
        left = (torch.tensor(ends)[:, None] - torch.arange(1, REGISTERS + 1)).clamp(min=0)
        values = _flat(x)[left]
        # a contiguous map may take a formula of its own, any other is to take that of the map
        again = activation(values) if x.is_contiguous() else activation(values.t()).t()
        _flat(result)[left] = again
    return result


def _ends_of_parts(count: int) -> list[int]:
    """Return where threads that share so many values end, unless all fill their registers.

    At least two ends, one perhaps twice: of one, the values would be contiguous either way.
    """
    threads = torch.get_num_threads()
    ends: set[int] = set()
    for parts in {threads, min(threads, -(-count // GRAIN))} if count else ():
        part = -(-count // parts)
        ends.update(min(end, count) for end in range(part, count + part, part))
    return [*ends, count] if any(end % REGISTERS for end in ends) else []


def _flat(x: Tensor) -> Tensor:
    return x.as_strided((x.numel(),), (1,))
