"""Blocks in a row."""

import torch
from torch import Tensor, nn


class CollectingChain(nn.Sequential):
    """Blocks in a row that give the outputs of all of them, not of the last alone.

    What feature distillation and local fusion networks build upon; source: Hui et al., IMDN, ACM MM
    2019.

    Shape: (N, C, H, W), and what every block takes besides, such as a mask, to (N, sum of the
    blocks' widths, H, W), the first block's output first.
    """

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        outputs = []
        for block in self:
            x = block(x, *given)
            outputs.append(x)
        return torch.cat(outputs, dim=1)
