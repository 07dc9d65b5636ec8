"""The average of a map, in lower precision too."""

import torch

from sr_zoo.blocks import global_mean
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
