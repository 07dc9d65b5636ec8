"""Convolutions whose kernels are assembled for each image."""

import torch

from sr_zoo.models.asconvsr import AssembledConv


def test_assembling_kernels_and_mixing_outputs_are_the_same():
    conv = AssembledConv(4, num_candidates=3).double()
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    shares = torch.rand(2, 4, 3, dtype=torch.float64).softmax(-1)
    torch.testing.assert_close(conv(x, shares), conv._mixed_outputs(x, shares))
