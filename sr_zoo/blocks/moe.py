"""Mixture of low-rank experts with a router that chooses for each image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.global_statistics import global_mean
from sr_zoo.blocks.strips import in_strips


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

    Shape: (N, channels, H, W) to probabilities (N, num_experts), float32 whatever the input's type.

    Args:
        channels: Width of the input.
        num_experts: How many to choose from.
    """

    def __init__(self, channels: int, num_experts: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, num_experts, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(global_mean(x).flatten(1)).float().softmax(dim=-1)


class MoRE(nn.Module):
    """Mixture of low-rank experts: x plus what the best expert for this image makes of it.

    Each image of a batch gets its own expert, weighted by the router's probability, which is not
    renormalised over the chosen ones. Evaluation computes that one expert alone: the experts'
    weights, filled up with zeros to the largest rank, are gathered per image, so that there is no
    branch on data and the block exports. Training computes all experts and weights those not chosen
    by zero, so that the router learns; images never influence each other in either mode.
    Source: SeemoRe (Zamfir et al., ICML 2024), section 3.1 (MoRE, top-1).

    Shape: two maps (N, channels, H, W), features and context, to one of the same shape.

    Args:
        channels: Width of inputs and output.
        ranks: Rank of each expert.

    Raises:
        ValueError: `ranks` is empty or holds a number smaller than 1.
    """

    def __init__(self, channels: int, ranks: Sequence[int]) -> None:
        if not ranks or min(ranks) < 1:
            raise ValueError(f"ranks must be one or more numbers of at least 1, got {ranks}")
        super().__init__()
        self.router = Router(channels, len(ranks))
        self.experts = nn.ModuleList(LowRankExpert(channels, rank) for rank in ranks)
        self.max_rank = max(ranks)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        probabilities = self.router(x).to(x.dtype)
        gate, chosen = probabilities.max(dim=-1)
        gate = gate[:, None, None, None]
        if self.training:
            picked = F.one_hot(chosen, len(self.experts)).to(x.dtype)[..., None, None, None]
            outputs = torch.stack([expert(x, context) for expert in self.experts], dim=1)
            return x + gate * (picked * outputs).sum(1)

        def modulated(x: Tensor, context: Tensor) -> Tensor:
            return x + gate * self._chosen_expert(x, context, chosen)

        return in_strips(modulated, x, context)

    def _chosen_expert(self, x: Tensor, context: Tensor, chosen: Tensor) -> Tensor:
        experts = [expert for expert in self.experts if isinstance(expert, LowRankExpert)]
        rank, channels = self.max_rank, x.shape[1]
        # channels last, as the maps lie in memory where convolutions are fast: no copies
        pixels, around = (m.permute(0, 2, 3, 1).flatten(1, 2) for m in (x, context))
        values = _linear_per_image(pixels, chosen, [e.values for e in experts], rank, channels)
        modulation = _linear_per_image(around, chosen, [e.context for e in experts], rank, channels)
        product = values * modulation
        out = _linear_per_image(product, chosen, [e.expand for e in experts], channels, rank)
        return out.unflatten(1, (x.shape[2], x.shape[3])).permute(0, 3, 1, 2)


def _linear_per_image(
    pixels: Tensor, chosen: Tensor, convs: Sequence[nn.Conv2d], rows: int, columns: int
) -> Tensor:
    """Run on each image the 1x1 convolution chosen for it, all filled with zeros to one size.

    Args:
        pixels: (N, H*W, columns).
        chosen: (N,) indices into `convs`.
        convs: To choose from; none has more outputs than `rows` or more inputs than `columns`.
        rows: Output channels.
        columns: Input channels.

    Returns:
        (N, H*W, rows).
    """
    weights, biases = [], []
    for conv in convs:
        missing = rows - conv.out_channels
        weights.append(F.pad(conv.weight.flatten(1), (0, columns - conv.in_channels, 0, missing)))
        biases.append(
            F.pad(conv.bias, (0, missing)) if conv.bias is not None else pixels.new_zeros(rows)
        )
    weight, bias = torch.stack(weights)[chosen], torch.stack(biases)[chosen]
    return torch.baddbmm(bias[:, None], pixels, weight.transpose(1, 2))
