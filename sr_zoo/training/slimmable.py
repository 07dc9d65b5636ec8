"""Training the widths of a slimmable network together, on shared weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sr_zoo.models.arm import AnyTimeNetwork
from sr_zoo.training.strategies import Strategy


class Slimmable(Strategy):
    """One width on each batch, drawn in proportion to the square of its multiply-adds.

    Wide networks need more steps, and a step of theirs improves the narrow ones too. Source: Chen
    et al., ARM, ECCV 2022; the odds are those of the authors' code.
    """

    kind = AnyTimeNetwork

    def __init__(self, network: AnyTimeNetwork) -> None:
        super().__init__(network)
        self.widths = network.widths[1:]  # interpolation does not learn
        self.at = nn.ModuleDict({str(width): network.at(width) for width in self.widths})
        macs = torch.tensor([network.macs_per_pixel(width) for width in self.widths])
        self.odds = macs.square() / macs.square().sum()

    def forward(self, lr: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        chosen = int(torch.multinomial(self.odds, 1))
        return [self.at[str(self.widths[chosen])](lr)], {}


class Sandwich(Slimmable):
    """The full and the narrowest width on each batch, and some of those between.

    The ends bound what all widths can do, so every step improves both. Source: Yu and Huang,
    Universally Slimmable Networks, ICCV 2019. All learn from the HR patch, where they let the
    narrow ones learn from the full one's answer.

    Args:
        network: To train.
        between: How many widths between the ends run on a batch.
    """

    def __init__(self, network: AnyTimeNetwork, *, between: int = 1) -> None:
        super().__init__(network)
        if between < 0:
            raise ValueError(f"between must be at least 0, got {between}")
        if len(self.widths) < 2:
            raise ValueError(
                f"it needs a network of two widths or more, a full and a narrow one, got "
                f"{list(self.widths)}; 'slimmable' takes one"
            )
        self.between = between

    def forward(self, lr: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        narrowest, *inner = self.widths[:-1]
        order = torch.randperm(len(inner))[: self.between].tolist()
        widths = (self.widths[-1], narrowest, *(inner[i] for i in order))
        return [self.at[str(width)](lr) for width in widths], {}
