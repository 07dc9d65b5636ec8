"""What PyTorch computes on the CPU in another way than it would by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sr_zoo.inference.runtimes.onednn import apply_linear, convolve
from sr_zoo.inference.runtimes.rounding import ACTIVATIONS, activate

KERNELS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.conv2d: convolve,
    F.linear: apply_linear,
    **{function: partial(activate, function) for function in ACTIVATIONS},
}


class CPUKernels(TorchFunctionMode):
    """While it is active, a value does not depend on where in a map it lies, nor on the map's size.

    The functions in `KERNELS` return what torch's own do, up to rounding.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return KERNELS.get(function, function)(*args, **(kwargs or {}))
