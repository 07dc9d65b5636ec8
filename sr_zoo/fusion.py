"""From the form that a network trains in to the plain one that runs faster."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, cast

from torch import nn

from sr_zoo.blocks.hooked import copy_of
from sr_zoo.blocks.reparameterisable import fuse_block
from sr_zoo.network import SRNetwork

Network = TypeVar("Network", bound=nn.Module)


def fuse(network: Network) -> Network:
    """Return the deployed form of a network: the same pictures from fewer layers.

    Every block that trains with parallel or chained linear layers is replaced by the plain layers
    they amount to; outputs agree within 1e-5. A network without such blocks comes back as a copy.

    Args:
        network: In any mode; it is not changed. It can be one of your own, with blocks of this
            library inside, or others that are `sr_zoo.blocks.Reparameterisable`.

    Returns:
        A new network in evaluation mode, on the same device and of the same floating-point type.
    """
    fused = cast("Network", _fused(copy_of(network).eval(), {})).eval()
    if isinstance(fused, SRNetwork) and isinstance(network, SRNetwork) and network.identity:
        fused.identity = replace(network.identity, fused=True)
    return fused


def _fused(module: nn.Module, known: dict[nn.Module, nn.Module]) -> nn.Module:
    """Fuse what is in a module; `known` holds what was, since a block may be used at two places."""
    if module not in known:
        known[module] = fuse_block(module) or module
        if known[module] is module:
            for name, child in module._modules.items():  # `named_children` tells of each but once
                if child is not None:
                    setattr(module, name, _fused(child, known))
    return known[module]
