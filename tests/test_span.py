"""SPAN's training form has no golden: its authors released the deployed one only."""

import pytest
import torch

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


def test_converter_leaves_the_merged_convolutions_out(network):
    converter = converter_of(SPANTrain)
    theirs = converter.save(network.state_dict())
    assert "block_2.c3_r.conv.1.weight" in theirs
    assert "conv_1.sk.bias" in theirs
    merged = {"conv_1.eval_conv.weight": torch.zeros(4, 3, 3, 3)}
    assert converter.load(theirs | merged).keys() == network.state_dict().keys()
