"""Networks built without numbers, on the meta device, and filled afterwards."""

import copy
import pickle

import pytest
import torch
from thin import build_thin

import sr_zoo
from sr_zoo.blocks import Interpolation, MeanShift
from sr_zoo.registry import MODELS, spec_of


def built_twice(name):
    """Return a network with random weights, and its like on the meta device."""
    scale = spec_of(name).variants[name].scales[-1]
    torch.manual_seed(0)
    full = build_thin(name, scale).eval()
    with torch.device("meta"):
        empty = build_thin(name, scale).eval()
    return full, empty


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_networks_filled_after_they_were_built_give_the_same_pictures(name):
    full, empty = built_twice(name)
    image = torch.rand(1, 3, 20, 24)
    emptied = copy.deepcopy(empty).to_empty(device="cpu")
    emptied.load_state_dict(full.state_dict(), strict=True)
    assert torch.equal(emptied(image), full(image))
    empty.load_state_dict(full.state_dict(), strict=True, assign=True)
    assert torch.equal(empty(image), full(image))


def test_networks_filled_in_another_type_have_its_constants():
    full, empty = built_twice("swinir_light")
    filled = empty.to(torch.bfloat16).to_empty(device="cpu")
    filled.load_state_dict(full.state_dict(), strict=True)
    assert torch.equal(filled.mean_shift.mean, full.bfloat16().mean_shift.mean)


@pytest.mark.parametrize("make", [MeanShift, lambda: Interpolation(2)])
def test_blocks_of_ones_own_networks_are_filled_too(make):
    with torch.device("meta"):
        network = torch.nn.Sequential(make())
    network = pickle.loads(pickle.dumps(network.to_empty(device="cpu")))
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(network(image), make()(image))


def test_a_network_stays_on_the_meta_device_where_it_is_sent_there():
    network = sr_zoo.create_model("fsrcnn", 2, pretrained=False).to("meta")
    assert network(torch.rand(1, 3, 8, 8, device="meta")).shape == (1, 3, 16, 16)
