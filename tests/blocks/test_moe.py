"""The mixture of experts takes the same expert in every type."""

import torch

from sr_zoo.blocks import MoRE


def test_experts_that_are_almost_alike_are_told_apart_in_bfloat16() -> None:
    block = MoRE(4, (1, 1)).eval().bfloat16()
    with torch.no_grad():
        block.router.score.weight.zero_()
        block.router.score.weight[1, 0] = 2**-8  # of two halves, the second is larger by 0.1 %
        block.experts[0].expand.weight.fill_(1e4)
        x = torch.ones(1, 4, 5, 5, dtype=torch.bfloat16)
        second = block.experts[1](x, x) * 0.5
        torch.testing.assert_close(block(x, x), x + second, rtol=2e-2, atol=2e-2)
