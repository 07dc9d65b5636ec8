"""SMSR: gathering important pixels computes what masking everything computes."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from sr_zoo.blocks.sparse import masked_conv3x3
from sr_zoo.dynamic import Budget
from sr_zoo.errors import OptionError
from sr_zoo.registry import spec_of


@pytest.fixture
def network():
    torch.manual_seed(0)
    return spec_of("smsr").network(scale=2, channels=16).eval()


@pytest.mark.parametrize("size", [(16, 20), (17, 21), (1, 1), (2, 3)])
@torch.inference_mode()
def test_skipping_gives_what_the_dense_form_gives(network, size):
    image = torch.rand(1, 3, *size)
    effort = network.spend(image, Budget("auto"))
    torch.testing.assert_close(effort.output, network(image), atol=5e-6, rtol=0)


@torch.inference_mode()
def test_a_budget_computes_as_many_pixels_as_it_pays_for(network):
    image = torch.rand(1, 3, 32, 32)
    cheapest, full = network.costs(32, 32)
    for share in (cheapest / full, 0.75, 1.0):
        effort = network.spend(image, Budget("share", share))
        assert effort.macs / full == pytest.approx(share, abs=2e-3)
    assert all(bool(module_map.all()) for module_map in effort.maps.values())
    with pytest.raises(OptionError, match="too small"):
        network.spend(image, Budget("share", 0.01))


@torch.inference_mode()
def test_skipping_takes_the_weights_that_pruned_layers_run_with(network):
    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    for layer in layers:
        prune.l1_unstructured(layer, "weight", 0.3)
        nn.init.normal_(layer.weight_orig, std=0.05)  # the next call makes the weights of these
    image, budget = torch.rand(1, 3, 16, 20), Budget("share", 0.7)
    output = network.spend(image, budget).output
    network(image)
    assert torch.equal(output, network.spend(image, budget).output)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.77])
@torch.inference_mode()
def test_a_budget_is_never_exceeded(network, share):
    cheapest, full = network.costs(6, 6)
    budget = cheapest / full + (1 - cheapest / full) * share
    effort = network.spend(torch.rand(1, 3, 6, 6), Budget("share", budget))
    assert effort.macs <= budget * full


def test_skipping_needs_no_inference_mode(network):
    image = torch.rand(1, 3, 16, 20)
    torch.testing.assert_close(
        network.spend(image, Budget("auto")).output, network(image), atol=5e-6, rtol=0
    )


@torch.inference_mode()
def test_skipping_works_in_mixed_precision(network):
    image = torch.rand(1, 3, 16, 20)
    with torch.autocast("cpu", torch.bfloat16):
        difference = (network.spend(image, Budget("auto")).output - network(image)).abs()
    assert difference.mean() <= 0.01


@torch.inference_mode()
def test_masked_convolution_equals_a_convolution_that_is_masked():
    x, weight = torch.randn(1, 6, 7, 9), torch.randn(5, 6, 3, 3)
    mask = torch.rand(7, 9) > 0.6
    dense_in, dense_out = torch.tensor([0, 3, 4]), torch.tensor([1, 2])
    sparse_in = [1, 2, 5]
    x[:, sparse_in] *= mask
    out, at_chosen = masked_conv3x3(
        x, weight, mask.flatten().nonzero().flatten(), dense_in, dense_out
    )
    everywhere = torch.nn.functional.conv2d(x, weight, padding=1).relu()
    outside = torch.nn.functional.conv2d(x[:, dense_in], weight[:, dense_in], padding=1).relu()
    expected = torch.zeros_like(everywhere)
    expected[:, dense_out] = outside[:, dense_out]
    expected = torch.where(mask, everywhere, expected)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(at_chosen, expected[0][:, mask].t(), atol=1e-5, rtol=1e-5)


def test_training_reaches_masks_of_pixels_and_of_channels(network):
    network.train()(torch.rand(2, 3, 8, 8)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.body[0].kinds.grad.abs().sum() > 0
