"""Blocks that train with more layers than they need afterwards."""

from abc import ABC, abstractmethod

from torch import nn


class Reparameterisable(ABC):
    """A module for which `sr_zoo.fuse` takes the plain one that its method returns.

    A second base beside ``nn.Module``, for blocks of one's own too. A method `fuse` alone makes no
    such block: many networks call so what joins features.
    """

    @abstractmethod
    def fuse(self) -> nn.Module:
        """Return the plain module, with weights of its own; this one stays as it is."""


def fuse_block(module: nn.Module) -> nn.Module | None:
    """Return what a `Reparameterisable` module amounts to, or None if it is no such module."""
    return module.fuse() if isinstance(module, Reparameterisable) else None
