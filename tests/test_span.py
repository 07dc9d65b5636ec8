"""SPAN's training form has no golden: its authors released the deployed one only."""

import pytest
import torch
from torch.nn import functional as F

import sr_zoo
from sr_zoo.models.span import SPAN, SPANTrain
from sr_zoo.weights.convert import converter_of


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SPANTrain(scale=2, channels=4, num_blocks=2)


def test_fused_training_form_is_the_deployed_one(network):
    deployed = SPAN(scale=2, channels=4, num_blocks=2).eval()
    deployed.load_state_dict(sr_zoo.fuse(network).state_dict(), strict=True)
    x = torch.rand(2, 3, 7, 9)
    with torch.inference_mode():
        torch.testing.assert_close(deployed(x), network.eval()(x), atol=1e-5, rtol=1e-5)


def test_a_step_lowers_the_loss_and_every_branch_gets_a_gradient(network):
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    target = torch.rand(2, 3, 24, 32)
    x = F.avg_pool2d(target, 2)
    before = F.mse_loss(network(x), target)
    before.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    optimiser.step()
    assert F.mse_loss(network(x), target) < before


def test_converter_leaves_the_merged_convolutions_out(network):
    converter = converter_of(SPANTrain)
    theirs = converter.save(network.state_dict())
    assert "block_2.c3_r.conv.1.weight" in theirs
    assert "conv_1.sk.bias" in theirs
    merged = {"conv_1.eval_conv.weight": torch.zeros(4, 3, 3, 3)}
    assert converter.load(theirs | merged).keys() == network.state_dict().keys()
