"""A value's activation has the same bits wherever in a map it lies, and in a map of any size."""

import pytest
import torch
from torch.nn import functional as F

from sr_zoo.inference.runtimes.kernels import CPUKernels

WIDTHS = range(150, 200)


@pytest.fixture(params=[torch.channels_last, torch.contiguous_format], ids=["last", "first"])
def image(request):
    values = torch.randn(1, 9, 61, max(WIDTHS), generator=torch.Generator().manual_seed(0))
    return values.contiguous(memory_format=request.param)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("activation", [torch.sigmoid, F.silu, F.gelu, torch.Tensor.sigmoid])
@torch.inference_mode()
def test_a_part_of_a_map_has_the_bits_of_the_whole(activation, image):
    layout = torch.channels_last if image.stride(1) == 1 else torch.contiguous_format
    parts = [image[..., -width:].contiguous(memory_format=layout) for width in WIDTHS]
    with CPUKernels():
        whole = activation(image)
        found = [activation(part) for part in parts]
    assert all(torch.equal(part, whole[..., -part.shape[-1] :]) for part in found)
    assert [part.stride() for part in found] == [part.stride() for part in parts]
    assert torch.allclose(whole, activation(image), atol=1e-6)


@torch.inference_mode()
def test_a_few_values_and_none_come_out_as_torch_computes_them(image):
    with CPUKernels():
        assert torch.allclose(F.gelu(image[..., :1, :1].clone()), F.gelu(image)[..., :1, :1])
        assert F.gelu(image[:0]).shape == image[:0].shape
        found = F.gelu(image, approximate="tanh")
    assert torch.allclose(found, F.gelu(image, approximate="tanh"))
    assert not torch.equal(found, F.gelu(image))


@torch.inference_mode()
def test_half_of_a_maps_channels_rounds_alike_too(image, threads):
    whole = image.contiguous(memory_format=torch.channels_last)
    part = image[..., -171:].contiguous(memory_format=torch.channels_last)
    with CPUKernels():
        assert torch.equal(F.gelu(part[:, :4]), F.gelu(whole[:, :4])[..., -171:])


def test_activations_in_place_and_given_by_name_and_gradients_stay_torchs(image):
    expected = F.silu(image)
    with CPUKernels():
        assert torch.equal(F.silu(image.clone(), inplace=True), expected)
        assert torch.equal(torch.sigmoid(image, out=torch.empty(0)), torch.sigmoid(image))
        assert torch.equal(F.silu(input=image), expected)
        (gradient,) = torch.autograd.grad(F.gelu(image.requires_grad_()).sum(), image)
    (usual,) = torch.autograd.grad(F.gelu(image).sum(), image)
    assert torch.equal(gradient, usual)
