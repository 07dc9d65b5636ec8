"""Convolutions and linear layers round a pixel alike in a map of any size, on any thread count."""

import pytest
import torch
from torch.nn import functional as F

import sr_zoo
from sr_zoo.inference.runtimes.kernels import CPUKernels

pytestmark = pytest.mark.usefixtures("threads")

WHOLE = 96  # pixels a side
SIDES = (9, 12, 17, 24, 33, 48)  # of parts: torch would take them for small maps


def noise(*size):
    return torch.rand(size, generator=torch.Generator().manual_seed(sum(size))) - 0.5


def last(x):
    return x.clone(memory_format=torch.channels_last)


# channels in and out, kernel, groups: of RLFN, IMDN, SeemoRe, SAFMN, ABPN, ELAN and FSRCNN
SHAPES = [
    (3, 52, 3, 1),
    (52, 52, 3, 1),
    (36, 72, 1, 1),
    (64, 64, 1, 1),
    (36, 36, 5, 36),
    (28, 28, 3, 1),
    (120, 60, 1, 1),
    (1, 56, 5, 1),
]


@pytest.mark.parametrize(("taken", "given", "kernel", "groups"), SHAPES)
@torch.inference_mode()
def test_a_part_is_convolved_to_the_bits_of_the_whole(taken, given, kernel, groups):
    image = noise(1, taken, WHOLE, WHOLE)
    weight, bias = last(noise(given, taken // groups, kernel, kernel)), noise(given)
    lost = kernel - 1
    with CPUKernels():
        whole = F.conv2d(last(image), weight, bias, groups=groups)
        for side in SIDES:
            part = last(image[..., -side - lost :, -side - lost :])
            found = F.conv2d(part, weight, bias, groups=groups)
            assert torch.equal(found, whole[..., -side:, -side:])
            assert found.is_contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_some_tokens_come_out_of_a_linear_layer_with_the_bits_of_all():
    tokens, layer = noise(2, 40, 64, 60), torch.nn.Linear(60, 120)
    with CPUKernels():
        whole = layer(tokens)
        assert all(
            torch.equal(layer(tokens[1, -some:, :9]), whole[1, -some:, :9]) for some in SIDES
        )


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2},
        {"padding": (2, 1), "dilation": (2, 1)},
        {"padding": "same"},
        {"groups": 4, "bias": None},
        {"stride": (1, 3), "padding": [1, 1]},
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_way_to_call_a_convolution_stays(options, dtype):
    x, weight = noise(2, 8, 15, 17).to(dtype), noise(12, 8 // options.get("groups", 1), 3, 3)
    arguments = {"weight": weight.to(dtype), "bias": noise(12).to(dtype)} | options
    expected = F.conv2d(x, **arguments)
    with CPUKernels():
        found = F.conv2d(input=x, **arguments)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected)


def test_single_images_empty_maps_vectors_and_gradients_come_out_as_from_torch():
    conv, linear = torch.nn.Conv2d(4, 6, 1), torch.nn.Linear(4, 6)
    cases = [
        (conv, noise(4, 5, 5)),
        (conv, noise(0, 4, 5, 5)),
        (linear, noise(4)),
        (linear, noise(0, 4)),
        (linear, noise(3, 4, 5).transpose(1, 2)),
    ]
    for layer, x in cases:
        x.requires_grad_()
        expected = layer(x)
        (gradient,) = torch.autograd.grad(expected.square().sum(), x)
        with CPUKernels():
            found = layer(x)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found.square().sum(), x)[0], gradient)


@pytest.mark.filterwarnings("ignore:TF32")  # torch says it whichever flag is set
def test_who_switches_onednn_off_gets_what_torch_computes_without_it():
    x, conv = noise(1, 16, 96, 96), torch.nn.Conv2d(16, 16, 3)
    with torch.backends.mkldnn.flags(enabled=False):
        expected = conv(x)
        with CPUKernels():
            assert torch.equal(conv(x), expected)


def test_small_tiles_give_the_bits_of_the_whole():
    network = sr_zoo.create_model("abpn_m4c28", 4, pretrained=False)
    image = noise(1, 3, 71, 95) + 0.5
    options = {"dtype": "float32", "runtime": "torch"}
    whole = sr_zoo.Upscaler(network, tile=None, **options).tensor(image)
    for side in (16, 24):
        assert torch.equal(sr_zoo.Upscaler(network, tile=side, **options).tensor(image), whole)
