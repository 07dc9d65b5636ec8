"""The average and the variance of a map, in lower precision too."""

import pytest
import torch

from sr_zoo.blocks import global_mean, global_variance
from sr_zoo.inference.memory import PeakMemory


@torch.inference_mode()
def test_the_average_in_bfloat16_is_as_exact_as_the_type_without_a_copy_of_the_map():
    x = torch.rand(1, 4, 1000, 200).bfloat16().contiguous(memory_format=torch.channels_last)
    with PeakMemory() as memory:
        average = global_mean(x)
    expected = x.double().mean((-2, -1), keepdim=True).bfloat16()
    assert average.dtype == torch.bfloat16
    torch.testing.assert_close(average, expected, atol=0, rtol=2**-8)
    assert memory.peak < x.nbytes / 4


@torch.inference_mode()
def test_the_average_of_doubles_is_one_of_doubles():
    x = torch.rand(1, 2, 300, 40, dtype=torch.float64)
    torch.testing.assert_close(global_mean(x), x.mean((-2, -1), keepdim=True), atol=0, rtol=1e-14)


@pytest.mark.parametrize(
    ("dtype", "error"), [(torch.bfloat16, 2**-8), (torch.float32, 1e-6), (torch.float64, 1e-13)]
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@torch.inference_mode()
def test_the_variance_is_as_exact_as_the_type_however_far_from_zero(dtype, error, memory_format):
    x = (100 + torch.randn(2, 4, 300, 200).to(dtype)).contiguous(memory_format=memory_format)
    variance = global_variance(x)
    expected = x.double().var((-2, -1), correction=0, keepdim=True).to(dtype)
    assert variance.dtype == dtype
    torch.testing.assert_close(variance, expected, atol=0, rtol=error)
