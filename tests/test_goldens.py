"""Every network equals its authors' network, and its converter reads the authors' tensor names."""

import json

import pytest
import torch
from golden import EVERY, GOLDENS, TOLERANCE, Golden, dead_branches

from sr_zoo.blocks import MoRE
from sr_zoo.models import pcsr
from sr_zoo.models.pcsr import two_means
from sr_zoo.registry import spec_of
from sr_zoo.weights.convert import converter_of


def build(golden: Golden) -> torch.nn.Module:
    variant = spec_of(golden.model).variants[golden.model]
    network = spec_of(golden.model).network(**variant.resolve(golden.scale), **golden.arguments)
    converter = converter_of(spec_of(golden.model).network)
    network.load_state_dict(converter.load(golden.state_dict()), strict=True)
    return network.eval()


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_network_computes_what_the_authors_network_computes(golden, monkeypatch):
    if "adaptive" in golden.name:  # theirs clusters the pixels of a whole batch together
        monkeypatch.setattr(pcsr, "two_means", lambda h: two_means(h.view(1, -1)).view_as(h))
    network = build(golden)
    dead = sum(tensor.numel() for tensor in dead_branches(golden).values())
    assert sum(p.numel() for p in network.parameters()) == golden.facts["num_params"] - dead
    for case in golden.facts["cases"]:
        with torch.inference_mode():
            output = network(golden.input(case))
        assert list(output.shape) == case["output_shape"]
        expected = golden.output(case)
        limit = TOLERANCE * max(1.0, expected.abs().max().item())
        difference = (output[..., ::EVERY, ::EVERY] - expected).abs().max().item()
        assert difference <= limit, f"{case['case']}: {difference} > {limit}"
        assert output.mean().item() == pytest.approx(case["output_mean"], abs=limit)
        assert output.std(correction=0).item() == pytest.approx(case["output_std"], abs=limit)


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_converter_gives_the_authors_names_back(golden):
    converter = converter_of(spec_of(golden.model).network)
    original = golden.state_dict()
    returned = converter.save(converter.load(original))
    assert returned.keys() == original.keys() - dead_branches(golden).keys()
    assert all(torch.equal(returned[name], original[name]) for name in returned)


@pytest.mark.parametrize(
    "golden", [g for g in GOLDENS if g.facts["buffers"]], ids=lambda golden: golden.name
)
def test_converter_takes_the_authors_constants_and_keeps_none_that_is_not_ours(golden):
    converter = converter_of(spec_of(golden.model).network)
    constants = {name: torch.zeros(b["shape"]) for name, b in golden.facts["buffers"].items()}
    converted = converter.load(golden.state_dict() | constants)
    assert converted.keys() <= build(golden).state_dict().keys()


@pytest.mark.parametrize(
    "golden", [g for g in GOLDENS if "expected_experts" in g.facts], ids=lambda golden: golden.name
)
def test_each_image_takes_the_expert_that_the_authors_router_picks(golden):
    network = build(golden)
    chosen: list[list[int]] = []
    for module in network.modules():
        if isinstance(module, MoRE):
            module.router.register_forward_hook(
                lambda _module, _args, probabilities: chosen.append(
                    probabilities.argmax(-1).tolist()
                )
            )
    stated = golden.facts["expected_experts"].partition(": ")[2]
    stated = stated[stated.index("[" if "{" not in stated else "{") :]
    expected = json.loads(stated)
    for case in golden.facts["cases"]:
        chosen.clear()
        with torch.inference_mode():
            network(golden.input(case))
        per_image = [list(image) for image in zip(*chosen, strict=True)]
        assert per_image == (expected[case["case"]] if isinstance(expected, dict) else expected)
