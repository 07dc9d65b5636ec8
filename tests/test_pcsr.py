"""PCSR: skipping computes what the dense form computes, and pays for what it says."""

import json

import pytest
import torch
from golden import FOLDER

from sr_zoo.blocks.clustering import two_means
from sr_zoo.dynamic import Budget
from sr_zoo.errors import OptionError
from sr_zoo.registry import spec_of

MODELS = ("pcsr_carn", "pcsr_fsrcnn")


def network_of(name, **arguments):
    torch.manual_seed(1)
    network = spec_of(name).network(scale=4, **arguments).eval()
    torch.nn.init.zeros_(
        network.classifier.layers[-1].bias
        if len(network.classifier.layers)
        else network.classifier.head.bias
    )
    return network


@pytest.mark.parametrize("name", MODELS)
def test_costs_of_both_classes_are_the_authors(name):
    expected = json.loads((FOLDER / f"{name}_x4.json").read_text())["normalised_cost_light_heavy"]
    for scale, costs in expected.items():
        assert spec_of(name).network(scale=int(scale)).class_costs() == pytest.approx(
            costs, abs=1e-6
        )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("k", [0.0, -0.3, None])
@torch.inference_mode()
def test_skipping_gives_what_the_dense_form_gives(name, k):
    network = network_of(name, k=k)
    image = torch.rand(1, 3, 19, 23)
    effort = network.spend(image, Budget("auto") if k is None else Budget("k", k))
    difference = (effort.output - network(image)).abs()
    assert difference.quantile(0.99) <= 1e-5  # a pixel between two classes may fall to either


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_skipping_works_in_mixed_precision(name):
    network, image = network_of(name), torch.rand(1, 3, 19, 23)
    with torch.autocast("cpu", torch.bfloat16):
        difference = (network.spend(image, Budget("k", 0.0)).output - network(image)).abs()
    assert difference.mean() <= 0.01


@torch.inference_mode()
def test_a_share_of_the_pixels_is_heavy_as_the_budget_allows():
    network = network_of("pcsr_carn")
    image = torch.rand(1, 3, 20, 24)
    cheapest, full = network.costs(20, 24)
    for share in (cheapest / full, 0.7, 1.0):
        effort = network.spend(image, Budget("share", share))
        assert effort.macs / effort.full_macs == pytest.approx(share, abs=1e-3)
        assert effort.macs <= share * full * (1 + 1e-6)
    with pytest.raises(OptionError, match="the cheapest mode takes 50"):
        network.spend(image, Budget("share", 0.3))


def test_training_mixes_both_perceptrons_so_that_the_classifier_learns():
    network = network_of("pcsr_fsrcnn").train()
    network(torch.rand(2, 3, 8, 8)).square().sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_two_means_splits_where_the_gap_is_and_rows_alone():
    rows = torch.tensor([[0.1, 0.12, 0.9, 0.88], [5.0, 1.0, 1.1, 0.9], [2.0, 2.0, 2.0, 2.0]])
    assert two_means(rows).tolist() == [
        [False, False, True, True],
        [True, False, False, False],
        [False] * 4,
    ]
