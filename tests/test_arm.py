"""ARM's pipeline of patches equals its authors', and stays within what it is given."""

import numpy as np
import pytest
import torch
from golden import EVERY, FOLDER, Golden
from torch import nn
from torch.nn.utils import parametrizations, prune, weight_norm

from sr_zoo.blocks.edge_table import edge_scores
from sr_zoo.dynamic import Budget
from sr_zoo.errors import ModelArgumentError
from sr_zoo.models.arm import PATCH, blend, patch_starts
from sr_zoo.registry import spec_of
from sr_zoo.weights.convert import converter_of

PIPELINES = ("arm_carn_routing_x4", "arm_fsrcnn_routing_x4")


def network_of(golden):
    network = spec_of(golden.model).network(scale=4)
    state = converter_of(type(network)).load(golden.state_dict())
    network.load_state_dict(state)
    return network.eval()


def cut(image):
    """Return the patches of the authors' grid, their places, and the size that they cover."""
    height, width = ((side - PATCH) // 28 * 28 + PATCH for side in image.shape[-2:])
    places = [(top, left) for top in patch_starts(height) for left in patch_starts(width)]
    patches = [image[..., top : top + PATCH, left : left + PATCH] for top, left in places]
    return torch.cat(patches), places, (height, width)


@pytest.mark.parametrize("name", PIPELINES)
@torch.inference_mode()
def test_patches_are_scored_chosen_enlarged_and_blended_as_by_the_authors(name):
    golden = Golden(name)
    network = network_of(golden)
    arrays = np.load(FOLDER / f"{name}.npz")
    image = torch.from_numpy(arrays["img_bgr"][..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    patches, places, size = cut(image)
    assert size == (golden.facts["grid"]["lr_h"], golden.facts["grid"]["lr_w"])
    scores = edge_scores(patches)
    assert scores.tolist() == pytest.approx(golden.facts["edge_scores"], abs=1e-4)
    for index, case in enumerate(golden.facts["cases"]):
        if case["eta_kind"] == "fixed":
            chosen = torch.full((len(patches),), case["k"])
        else:
            eta = None if case["k"] == "best" else case["k"]
            chosen = network.table.choose(scores, eta)
        assert chosen.tolist() == case["classes"]
        # theirs rounds patches to 8 bits
        enlarged = (network.enlarge(patches, chosen).clamp(0, 1) * 255).round()
        canvas = blend(enlarged, places, *size)[0].permute(1, 2, 0).numpy()[..., ::-1]
        difference = np.abs(canvas[::EVERY, ::EVERY] - arrays[f"y_{index}"])
        assert np.quantile(difference, 0.999) <= 1e-4 * 255
        assert difference.max() <= 1  # a value at the border between two levels


@pytest.mark.parametrize("size", [(1, 1), (31, 45), (33, 61), (60, 88)])
@torch.inference_mode()
def test_the_whole_picture_is_covered_at_any_size(size):
    network = spec_of("arm_fsrcnn").network(scale=4).eval()
    image = torch.rand(1, 3, *size)
    effort = network.spend(image, Budget("auto"))
    assert effort.output.shape == (1, 3, 4 * size[0], 4 * size[1])
    assert effort.output.isfinite().all()


@torch.inference_mode()
def test_more_budget_spends_more_and_never_more_than_it_has():
    network = spec_of("arm_carn").network(scale=4, channels=64).eval()
    image = torch.rand(1, 3, 90, 90)
    image[..., :45] = image[..., :45].mean()
    spent = [
        network.spend(image, Budget("share", share)).macs / network.costs(90, 90)[1]
        for share in (0.1, 0.3, 0.5, 0.8, 1.0)
    ]
    assert spent == sorted(spent)
    assert all(a <= b for a, b in zip(spent, (0.1, 0.3, 0.5, 0.8, 1.0), strict=True))
    assert spent[2] > 0.4


@torch.inference_mode()
def test_patches_are_chosen_on_the_device_of_the_image_whatever_the_default():
    network = spec_of("arm_fsrcnn").network(scale=4).eval()
    image = torch.rand(1, 3, 40, 40)
    for budget in (Budget("auto"), Budget("share", 0.5)):
        expected = network.spend(image, budget)
        with torch.device("meta"):
            effort = network.spend(image, budget)
        assert torch.equal(effort.output, expected.output)
        assert torch.equal(effort.maps["patches"], expected.maps["patches"])


def test_narrow_networks_share_the_weights_and_their_gradients():
    network = spec_of("arm_fsrcnn").network(scale=4)
    narrow = network.at(16)
    narrow(torch.rand(1, 3, 8, 8)).sum().backward()
    weight = network.trunk.head[0].weight
    assert narrow.trunk.head[0].weight is weight
    assert weight.grad[:16].abs().sum() > 0
    assert weight.grad[16:].abs().sum() == 0


@pytest.mark.parametrize("name", ["arm_carn", "arm_fsrcnn"])
def test_a_narrow_network_draws_no_weights_and_lives_where_the_full_one_does(name):
    network = spec_of(name).network(scale=4).double()
    before = torch.get_rng_state()
    narrow = network.at(36)
    assert torch.equal(torch.get_rng_state(), before)
    assert narrow(torch.rand(1, 3, 8, 8, dtype=torch.float64)).isfinite().all()


def test_a_width_that_the_network_does_not_have_is_refused():
    with pytest.raises(ValueError, match="width must be from 1 to 56, got 60"):
        spec_of("arm_fsrcnn").network(scale=4, width=60)


def test_widths_that_groups_do_not_divide_are_refused_and_not_taken_unasked():
    network = spec_of("arm_carn").network
    with pytest.raises(ValueError, match=r"widths must be multiples of groups \(=4\), got .*30"):
        network(scale=4, widths=(30, 64))
    assert network(scale=4, groups=8).widths == (0, 64)  # the authors' 36 and 52 do not fit


def test_widths_increase_up_to_the_full_one():
    for widths in ((56, 16), (16, 36), (0, 56)):
        with pytest.raises(ValueError, match="widths must increase, from 1 or more to 56"):
            spec_of("arm_fsrcnn").network(scale=4, widths=widths)


@pytest.mark.parametrize("name", ["arm_carn", "arm_fsrcnn"])
@torch.inference_mode()
def test_narrow_networks_of_a_pruned_one_are_pruned(name):
    network = spec_of(name).network(scale=4).eval()
    for layer in list(network.modules()):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            prune.l1_unstructured(layer, "weight", 0.3)
    image = torch.rand(1, 3, 8, 8)
    narrow = network.at(36)(image)
    for layer in list(network.modules()):
        if prune.is_pruned(layer) and hasattr(layer, "weight_orig"):
            prune.remove(layer, "weight")
    assert torch.equal(narrow, network.at(36)(image))


@pytest.mark.parametrize("name", ["arm_carn", "arm_fsrcnn"])
@pytest.mark.filterwarnings("ignore::FutureWarning")  # the older one is deprecated
@pytest.mark.parametrize("normalise", [weight_norm, parametrizations.weight_norm])
def test_narrow_networks_of_a_normalised_one_are_normalised(name, normalise):
    network = spec_of(name).network(scale=4).eval()
    x, width = torch.rand(1, 3, 12, 14), network.widths[1]
    with torch.inference_mode():
        expected = network.at(width)(x)
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d):
            normalise(layer)
    narrow = network.at(width)
    torch.testing.assert_close(narrow(x), expected, atol=1e-5, rtol=1e-5)
    narrow(x).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network(x).shape == (1, 3, 48, 56)  # as it was


def test_narrow_networks_of_a_wrapped_one_are_refused():
    network = spec_of("arm_fsrcnn").network(scale=4)
    network.trunk.head[0] = nn.Sequential(network.trunk.head[0])
    with pytest.raises(ModelArgumentError, match="weights of a SlimConv2d, and a Sequential is in"):
        network.at(network.widths[1])
