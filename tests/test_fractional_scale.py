"""The one published scale that is no whole number: QuickSRNet's 1.5."""

import pytest
import torch
from golden import EVERY, TOLERANCE, Golden

from sr_zoo.models.quicksrnet import QuickSRNetLargeOneAndAHalf, QuickSRNetOneAndAHalf
from sr_zoo.weights.convert import converter_of

NETWORKS = {
    "quicksrnet_small": QuickSRNetOneAndAHalf,
    "quicksrnet_medium": lambda: QuickSRNetOneAndAHalf(num_layers=5),
    "quicksrnet_large": QuickSRNetLargeOneAndAHalf,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_computes_what_the_authors_network_computes(name):
    golden = Golden(f"fractional/{name}_x1.5")
    network = NETWORKS[name]()
    converter = converter_of(type(network))
    original = golden.state_dict()
    network.load_state_dict(converter.load(original), strict=True)
    assert converter.save(network.state_dict()).keys() == original.keys()
    for case in golden.facts["cases"]:
        with torch.inference_mode():
            output = network(golden.input(case))
        assert list(output.shape) == case["output_shape"]
        difference = (output[..., ::EVERY, ::EVERY] - golden.output(case)).abs().max().item()
        assert difference <= TOLERANCE


@pytest.mark.parametrize("network", [QuickSRNetOneAndAHalf, QuickSRNetLargeOneAndAHalf])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 8)])
def test_odd_sides_round_down(network, height, width):
    with torch.inference_mode():
        output = network(num_layers=1)(torch.rand(1, 3, height, width))
    assert output.shape == (1, 3, height * 3 // 2, width * 3 // 2)
