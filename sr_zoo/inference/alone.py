"""Whether tiles can be run by what takes each of them for a whole image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sr_zoo.blocks import TileView
from sr_zoo.network import SRNetwork, weight_of
from sr_zoo.registry import spec_of


@torch.inference_mode()
def tiles_alone(network: SRNetwork) -> bool:
    """Whether tiles come out as in one piece without being told where in the image they lie.

    A compiled program or an exported file cannot be told. Nothing is known of a network that was
    built by hand.
    """
    if network.identity is None:
        return False
    spec = spec_of(network.identity.name)
    if spec.wraps or not spec.tile_exact:
        return False
    side = 2 * spec.grid
    weight = weight_of(network)
    view = _AskedView((side, side), (0, 0), (side, side), (0, 0), (side, side))
    with view.active():
        network(weight.new_zeros(1, 3, side, side))
    return not view.asked


class _AskedView(TileView):
    """Notes whether a layer asked for the size of the whole image."""

    asked = False

    def sampling(self, *arguments: Any, **more: Any) -> tuple[Tensor, Tensor, Tensor]:
        self.asked = True
        return super().sampling(*arguments, **more)

    def length(self, axis: int, tile_length: int) -> int:
        self.asked = True
        return super().length(axis, tile_length)
