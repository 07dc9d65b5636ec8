"""Training PCSR in two phases: first its heavy half alone, then what divides the pixels.

Source: Jeong et al., PCSR, ECCV 2024; what is frozen when is from the authors' code.
"""

from __future__ import annotations

from torch import Tensor

from sr_zoo.models.pcsr import PCSR
from sr_zoo.training.strategies import Strategy


class HeavyPixels(Strategy):
    """The first phase: the encoder and the heavy perceptron learn, on all pixels."""

    kind = PCSR
    network: PCSR

    def __init__(self, network: PCSR) -> None:
        super().__init__(network)
        network.light.requires_grad_(False)
        network.classifier.requires_grad_(False)

    def forward(self, lr: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        return [self.network.all_heavy(lr)], {}


class PixelClasses(Strategy):
    """The second phase: the light perceptron and the classifier learn.

    The picture is the mixture of both perceptrons by the classifier's probability, which learns so
    where the heavy one is better. It alone would always be; what `balance` weighs is how far the
    mean probability is from one half, from 0 to 1.

    Args:
        network: To train; its encoder and heavy perceptron are trained.
        balance: Weight of that term, beside a loss of weight 1.
    """

    kind = PCSR
    network: PCSR
    terms = ("balance",)

    def __init__(self, network: PCSR, *, balance: float = 0.003) -> None:
        super().__init__(network)
        self.balance = balance
        network.encoder.requires_grad_(False)
        network.heavy.requires_grad_(False)

    def forward(self, lr: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        picture, hardness = self.network.blended(lr)
        return [picture], {"balance": self.balance * (2 * hardness.float().mean() - 1).abs()}
