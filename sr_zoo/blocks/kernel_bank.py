"""Kernels that a layer mixes anew for each image."""

from typing import Any

import torch
from torch import Tensor, nn


class KernelBank(nn.Module):
    """Holds several 3x3 kernels, of which subclasses make one convolution for each image.

    The kernels lie behind one another, as of one convolution to all their outputs, since torch can
    lay out no parameter of five axes channels last. In the state dict each is by itself:
    (num_kernels, channels, channels, 3, 3).

    Args:
        channels: Width of the input and of the output.
        num_kernels: How many kernels there are.
    """

    def __init__(self, channels: int, num_kernels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_kernels * channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(num_kernels, channels))
        nn.init.kaiming_uniform_(self.weight)

    def kernels(self) -> Tensor:
        """Return the kernels, (num_kernels, channels, channels, 3, 3)."""
        # a state dict's too, which `torch.func.functional_call` may put in their place
        return self.weight.reshape(*self.bias.shape, *self.weight.shape[-3:])

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        name = f"{prefix}weight"
        if name in destination:  # not where it is pruned
            destination[name] = destination[name].unflatten(0, self.bias.shape)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        weight = state_dict.get(f"{prefix}weight")
        if isinstance(weight, Tensor) and weight.dim() == 5:
            state_dict[f"{prefix}weight"] = weight.flatten(0, 1)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
