"""A transposed convolution and what it fuses to give the same pixels."""

import pytest
import torch

from sr_zoo.blocks import TransposedUpsampler
from sr_zoo.blocks.reparam import fuse_block


@pytest.mark.parametrize(
    ("scale", "kernel_size", "padding"),
    [(2, 9, 4), (3, 9, 4), (4, 9, 4), (4, 9, 3), (2, 3, 1), (3, 3, 0), (4, 4, 0), (2, 5, 2)],
)
@torch.inference_mode()
def test_fused_it_gives_the_same_pixels(scale, kernel_size, padding):
    layer = TransposedUpsampler(5, 3, scale, kernel_size, padding=padding)
    x = torch.rand(2, 5, 6, 7)
    expected = layer(x)
    assert expected.shape == (2, 3, 6 * scale, 7 * scale)
    assert torch.allclose(fuse_block(layer)(x), expected, atol=1e-6)


@pytest.mark.parametrize("padding", [-1, 2, 6])
def test_a_padding_that_does_not_fit_is_refused(padding):
    with pytest.raises(ValueError, match=f"padding {padding} of a kernel of 9"):
        TransposedUpsampler(5, 3, 4, 9, padding=padding)
