"""Convolutions whose kernels are assembled for each image."""

import torch
from torch.func import functional_call

from sr_zoo.models.asconvsr import AssembledConv


def test_assembling_kernels_and_mixing_outputs_are_the_same():
    conv = AssembledConv(4, num_candidates=3).double()
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    shares = torch.rand(2, 4, 3, dtype=torch.float64).softmax(-1)
    torch.testing.assert_close(conv(x, shares), conv._mixed_outputs(x, shares))


def test_it_runs_on_a_state_dict_as_on_its_own_weights():
    conv, other = (AssembledConv(4, num_candidates=3) for _ in range(2))
    inputs = torch.randn(2, 4, 6, 7), torch.rand(2, 4, 3).softmax(-1)
    assert torch.equal(functional_call(conv, other.state_dict(), inputs), other(*inputs))
