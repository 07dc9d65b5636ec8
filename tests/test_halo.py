"""The receptive field that a SPEC states is the one that the network has."""

import pytest
from thin import build_thin

import sr_zoo
from sr_zoo.building import variant_arguments
from sr_zoo.inference.networks import locality
from sr_zoo.inference.tiling import measure_halo
from sr_zoo.registry import MODELS, family_of, spec_of

QUICK = 30  # LR pixels; measuring a wider reach takes minutes

# networks too deep to measure whole: what repeats, so that the reach grows by a constant
REPEATED = {
    "dgsr": "num_blocks",
    "lamnet": "num_groups",
    "rrdbnet": "num_blocks",
    "seemore": "num_groups",
    "tcfdn": "num_blocks",
}
# networks that compute more than their output depends on: arguments with which they do not
SPARING = {"tcsr": {"square": 1}}


def measurable(name: str) -> bool:
    """Whether the reach ends somewhere, and can be measured in minutes."""
    spec = spec_of(name)
    endless = spec.global_attention or spec.fading or spec.wraps
    return family_of(name) not in REPEATED and not endless


def marked(name: str) -> object:
    spec = spec_of(name)
    quick = spec.grid == 1 and spec.variants[name].halo <= QUICK
    return pytest.param(name, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize("name", [marked(n) for n in MODELS if measurable(n)])
def test_halo_is_what_the_network_sees(name):
    spec = spec_of(name)
    variant = spec.variants[name]
    sparing = SPARING.get(family_of(name), {})
    measured = {
        measure_halo(build_thin(name, scale, **sparing), spec.grid) for scale in variant.scales
    }
    assert max(measured) == variant.halo


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in MODELS if family_of(n) in REPEATED])
def test_halo_of_a_deep_network_grows_by_a_constant(name):
    spec = spec_of(name)
    repeated = REPEATED[family_of(name)]
    scale = min(spec.variants[name].scales)
    count = variant_arguments(name, scale)[repeated]
    one, two = (
        measure_halo(build_thin(name, scale, **{repeated: few}), spec.grid) for few in (1, 2)
    )
    assert one + (count - 1) * (two - one) == spec.variants[name].halo


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if spec_of(name).wraps])
def test_halo_of_windows_that_wrap_around_holds_away_from_the_borders(name):
    spec = spec_of(name)
    measured = measure_halo(build_thin(name, 2), spec.grid, wraps=True)
    assert measured == spec.variants[name].halo


def test_the_reach_of_fewer_windows_that_wrap_around_is_measured():
    network = sr_zoo.create_model("elan_light", 2, pretrained=False, channels=15, num_blocks=1)
    assert locality(network).halo == 35  # 17 by each of two attentions, and one


@pytest.mark.parametrize("name", ["esrt", "dlgsanet_tiny"])
def test_a_changed_network_without_an_end_to_its_reach_keeps_the_halo(name):
    overrides = {"channels": 24, "num_heads": 6} if name == "dlgsanet_tiny" else {"channels": 16}
    network = sr_zoo.create_model(name, 2, pretrained=False, **overrides)
    assert locality(network).halo == spec_of(name).variants[name].halo


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dlgsanet_light", "dlgsanet_tiny"])
def test_halo_counts_two_windows_and_everything_but_windows(name):
    spec = spec_of(name)
    alone = build_thin(name, 2, window_size=1)  # each pixel attends to itself
    largest = variant_arguments(name, 2)["window_size"]
    assert measure_halo(alone, spec.grid) + 2 * largest == spec.variants[name].halo
