"""Tensors of a layer that follow from its arguments: no weights, and in no file."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Constants(nn.Module):
    """A module that knows how its constants are made, so that they are never left without values.

    Built on the meta device it has none. They come when the module leaves it, by ``to_empty`` or as
    ``load_state_dict(..., assign=True)`` puts weights in: no state dict holds them, so nothing else
    would tell that they are missing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._constants: dict[str, tuple[Callable[..., Tensor], tuple[Any, ...]]] = {}

    def register_constant(self, name: str, make: Callable[..., Tensor], *arguments: Any) -> None:
        """Add a buffer that is kept out of the state dict.

        Args:
            name: Of the attribute.
            make: Returns it; a function that can be pickled, as the module can then.
            *arguments: Of `make`.
        """
        self._constants[name] = make, arguments
        self.register_buffer(name, make(*arguments), persistent=False)

    def _made(self, name: str) -> Tensor:
        make, arguments = self._constants[name]
        with torch.device("cpu"):  # also where all new tensors are to be on the meta device
            return make(*arguments)

    def _without_values(self) -> list[str]:
        return [name for name in self._constants if getattr(self, name).is_meta]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Constants":
        left = self._without_values()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call] # torch's own
        for name in {*left} - {*self._without_values()}:
            getattr(self, name).copy_(self._made(name))
        return self

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)
        if local_metadata.get("assign_to_params_buffers"):
            for name in self._without_values():
                setattr(self, name, self._made(name).to(getattr(self, name).dtype))
