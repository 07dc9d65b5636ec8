import pytest
import torch
from golden import GOLDENS, dead_branches
from torch import nn

import sr_zoo
from sr_zoo.blocks import Interpolation
from sr_zoo.evaluation.complexity import count_complexity, measure_speed
from sr_zoo.network import SRNetwork
from sr_zoo.registry import spec_of


def counted():
    """Yield the goldens that state multiply-adds; all but a model's largest scale are slow."""
    goldens = [golden for golden in GOLDENS if golden.facts.get("macs_720p")]
    largest = {golden.model: golden.scale for golden in sorted(goldens, key=lambda g: g.scale)}
    for golden in goldens:
        marks = () if golden.scale == largest[golden.model] else pytest.mark.slow
        yield pytest.param(golden, id=golden.name, marks=marks)


# models whose multiply-adds are not those of their goldens, and why
COUNTED_OTHERWISE = {
    "dlgsanet_light": "counts the per-pixel kernels, which are element-wise products here",
    "dlgsanet_tiny": "counts the per-pixel kernels, which are element-wise products here",
    "ecbsr_m4c16_plain": "leaves out colour conversion and the interpolation of chroma",
    "ecbsr_m4c32_plain": "leaves out colour conversion and the interpolation of chroma",
    "elan": "counts moving channels by a pixel as a convolution",
    "elan_light": "counts moving channels by a pixel as a convolution",
    "pcsr_carn": "counts one perceptron per pixel, all of it; here both run, and share a part",
    "pcsr_fsrcnn": "counts one perceptron per pixel, all of it; here both run, and share a part",
    **dict.fromkeys(
        ("seemore_t", "seemore_b", "seemore_l"),
        "counts the chosen expert alone; here all run as one, which takes less time",
    ),
    "smsr": "counts layers once; the dense form runs those behind the first for either mask",
    "lamnet": "counts the per-pixel kernels, which are element-wise products here",
}


class Toy(SRNetwork):
    """Two convolutions, an attention over pixels, and a pixel shuffle."""

    def __init__(self, *, scale):
        super().__init__(scale)
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.tail = nn.Conv2d(8, 3 * scale**2, 1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x):
        features = self.head(x)
        tokens = features.flatten(2)
        attention = tokens.mT @ tokens
        mixed = (tokens @ attention).view_as(features)
        return self.shuffle(self.tail(mixed))


def test_every_column_is_the_count_by_hand():
    network = Toy(scale=2)
    complexity = count_complexity(network, (8, 12))
    pixels = 4 * 6
    assert complexity.num_params == 3 * 8 * 9 + 8 + 8 * 12 + 12
    assert complexity.macs == pixels * (3 * 8 * 9 + 8 * 12) + 2 * 8 * pixels**2
    assert complexity.activations == pixels * (8 + 12)
    # at the end: features before and after, the attention, the last layer before and after
    assert complexity.peak_memory == 4 * (2 * 8 * pixels + pixels**2 + 2 * 12 * pixels)


def test_the_lr_image_is_rounded_up():
    assert count_complexity(Toy(scale=3)).activations == 240 * 427 * (8 + 27)


class InterpolatedSkip(Toy):
    """The same, added to what interpolation gives."""

    def __init__(self, *, scale):
        super().__init__(scale=scale)
        self.skip = Interpolation(scale)

    def forward(self, x):
        return self.skip(x) + super().forward(x)


def test_interpolation_counts_nothing():
    bicubic = count_complexity(sr_zoo.create_model("bicubic", 4))
    assert (bicubic.macs, bicubic.activations) == (0, 0)
    plain, skipping = count_complexity(Toy(scale=2)), count_complexity(InterpolatedSkip(scale=2))
    assert (skipping.macs, skipping.activations) == (plain.macs, plain.activations)


def test_the_network_is_left_alone():
    network = Toy(scale=2).train()
    count_complexity(network, (4, 4))
    assert network.training
    assert network.head.weight.device.type == "cpu"


@pytest.mark.parametrize("golden", list(counted()))
def test_parameters_and_multiply_adds_are_those_of_the_authors(golden):
    spec = spec_of(golden.model)
    arguments = spec.variants[golden.model].resolve(golden.scale) | golden.arguments
    with torch.device("meta"):
        complexity = count_complexity(spec.network(**arguments))
    dead = sum(tensor.numel() for tensor in dead_branches(golden).values())
    assert complexity.num_params == golden.facts["num_params"] - dead
    if golden.model not in COUNTED_OTHERWISE:
        assert complexity.macs == pytest.approx(golden.facts["macs_720p"], rel=0.01)


def test_speed_is_the_median_of_several_runs():
    speed = measure_speed(Toy(scale=2), (8, 12), seconds=0)
    assert 0 < speed.latency < 1
    assert speed.peak_memory is None
