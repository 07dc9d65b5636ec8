"""Mixture of low-rank experts with a router that chooses for each image."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.constants import Constants
from sr_zoo.blocks.global_statistics import global_mean
from sr_zoo.blocks.hooked import hooked_weight, is_plain
from sr_zoo.blocks.strips import ComputedMap, in_strips


class LowRankExpert(nn.Module):
    """Modulates features by context at a low rank: up(values(x) * context(k)), all 1x1.

    Source: SeemoRe (Zamfir et al., ICML 2024), section 3.1.

    Shape: two maps (N, channels, H, W) to one of the same shape.

    Args:
        channels: Width of inputs and output.
        rank: Width of the product inside.
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.values = nn.Conv2d(channels, rank, 1)
        self.context = nn.Conv2d(channels, rank, 1)
        self.expand = nn.Conv2d(rank, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.expand(self.values(x) * self.context(context))


class Router(nn.Module):
    """Scores the experts for each image from the average of its features.

    Shape: (N, channels, H, W) to probabilities (N, num_experts), in float32 or better.

    Args:
        channels: Width of the input.
        num_experts: How many to choose from.
    """

    def __init__(self, channels: int, num_experts: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, num_experts, bias=False)

    def forward(self, x: Tensor | ComputedMap) -> Tensor:
        scores = self.score(global_mean(x).flatten(1))
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).softmax(dim=-1)


class MoRE(Constants):
    """Mixture of low-rank experts: x plus what the best expert for this image makes of it.

    Each image of a batch gets its own expert, weighted by the router's probability, which is not
    renormalised over the chosen ones. The experts are so narrow that all of them, as one, take less
    time than fetching the weights of one for each image: the chosen expert's share of the inner
    features is its probability, that of all others zero. So there is no branch on data, the block
    exports, and images never influence each other.
    Source: SeemoRe (Zamfir et al., ICML 2024), section 3.1 (MoRE, top-1).

    Shape: two maps (N, channels, H, W), features and context, to one of the same shape.

    Args:
        channels: Width of inputs and output.
        ranks: Rank of each expert.

    Raises:
        ValueError: `ranks` is empty or holds a number smaller than 1.
    """

    owners: Tensor

    def __init__(self, channels: int, ranks: Sequence[int]) -> None:
        if not ranks or min(ranks) < 1:
            raise ValueError(f"ranks must be one or more numbers of at least 1, got {ranks}")
        super().__init__()
        self.router = Router(channels, len(ranks))
        self.experts = nn.ModuleList(LowRankExpert(channels, rank) for rank in ranks)
        owners = [expert for expert, rank in enumerate(ranks) for _ in range(rank)]
        # which expert each inner feature belongs to
        self.register_constant("owners", torch.tensor, owners)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return in_strips(self.choose(x), x, context)

    def choose(self, x: Tensor | ComputedMap) -> Callable[[Tensor, Tensor], Tensor]:
        """Choose the experts for some features.

        Args:
            x: (N, channels, H, W).

        Returns:
            What the block does to `x` and its context, also to strips of both.
        """
        gate, chosen = self.router(x).max(dim=-1, keepdim=True)
        gate = gate.to(x.dtype)  # not before: rounded, close probabilities would be equal
        shares = torch.zeros_like(gate).expand(-1, len(self.experts)).scatter(1, chosen, gate)
        experts = [expert for expert in self.experts if isinstance(expert, LowRankExpert)]
        if not all(is_plain(*expert.children()) for expert in experts):

            def modulate_by_each(x: Tensor, context: Tensor) -> Tensor:
                parts = zip(experts, shares[..., None, None, None].unbind(1), strict=True)
                return x + sum(share * expert(x, context) for expert, share in parts)

            return modulate_by_each
        values = _side_by_side([expert.values for expert in experts])
        around = _side_by_side([expert.context for expert in experts])
        expand = torch.cat([hooked_weight(expert.expand) for expert in experts], dim=1)
        biases = torch.stack([_bias(expert.expand) for expert in experts])
        inner, outer = (each[..., None, None] for each in (shares[:, self.owners], shares @ biases))

        def modulate(x: Tensor, context: Tensor) -> Tensor:
            features = F.conv2d(x, *values) * inner * F.conv2d(context, *around)
            return x + outer + F.conv2d(features, expand)

        return modulate


def _side_by_side(convs: Sequence[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Return weight and bias of one convolution that gives the outputs of all."""
    return torch.cat([hooked_weight(c) for c in convs]), torch.cat([_bias(c) for c in convs])


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
