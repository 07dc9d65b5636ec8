"""What of a network runs on a batch, and what of it learns."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

from torch import Tensor, nn

from sr_zoo.errors import OptionError, SRZooError, did_you_mean
from sr_zoo.network import SRNetwork
from sr_zoo.registry import MODELS, spec_of
from sr_zoo.training import recipe
from sr_zoo.training.tables import typed


class Strategy(nn.Module):
    """The whole network on every batch.

    Attributes:
        network: What learns; its parameters that a strategy freezes do not.
        kind: Networks that the strategy is for.
        terms: Names of what `forward` adds to the losses.
    """

    kind: ClassVar[type[SRNetwork]] = SRNetwork
    terms: ClassVar[tuple[str, ...]] = ()

    def __init__(self, network: SRNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return outputs for LR patches, each to be learned from alike, and further losses."""
        return [self.network(lr)], {}


# modules that need a network's class, imported when a recipe names them
STRATEGIES = {
    "heavy_pixels": "sr_zoo.training.pixel_classes.HeavyPixels",
    "pixel_classes": "sr_zoo.training.pixel_classes.PixelClasses",
    "sandwich": "sr_zoo.training.slimmable.Sandwich",
    "slimmable": "sr_zoo.training.slimmable.Slimmable",
}


def find_strategy(settings: recipe.Strategy | None, model: str) -> type[Strategy]:
    """Return the class of a recipe's strategy.

    Args:
        settings: None for the whole network.
        model: Name of the model that is to learn by it.

    Raises:
        OptionError: There is no such strategy, or it is for other models.
    """
    if settings is None:
        return Strategy
    name = settings.name
    if name not in STRATEGIES:
        raise OptionError(
            f"Unknown strategy {name!r}.{did_you_mean(name, STRATEGIES)} "
            f"Known are {', '.join(STRATEGIES)}"
        )
    module, _, class_name = STRATEGIES[name].rpartition(".")
    found: type[Strategy] = getattr(import_module(module), class_name)
    if not issubclass(spec_of(model).network, found.kind):
        able = [other for other in MODELS if issubclass(spec_of(other).network, found.kind)]
        raise OptionError(f"Strategy {name!r} is for {', '.join(able)}, not for {model}")
    return found


def build_strategy(settings: recipe.Strategy | None, model: str, network: SRNetwork) -> Strategy:
    """Build a recipe's strategy around a network.

    Raises:
        OptionError: It is unknown, for other models, or does not take an argument given to it.
    """
    found = find_strategy(settings, model)
    if settings is None:
        return found(network)
    named = f"strategy {settings.name!r}"
    arguments = typed(found.__init__, settings.arguments, named)
    try:
        return found(network, **arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, SRZooError):
            raise
        raise OptionError(f"{named}: {error}") from error
