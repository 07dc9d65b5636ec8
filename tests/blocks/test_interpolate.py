import pytest
import torch

from sr_zoo.blocks import Interpolation, YCbCr
from sr_zoo.evaluation.resize import imresize


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (17, 20)])
def test_enlarges_as_matlab_does(scale, size):
    x = torch.rand(2, 3, *size)
    assert torch.allclose(Interpolation(scale)(x), imresize(x, scale), atol=1e-6)


def test_a_cut_out_with_its_surroundings_comes_out_bit_for_bit():
    x = torch.rand(1, 3, 40, 33)
    whole = Interpolation(4)(x)
    part = Interpolation(4)(x[..., 10:30, 8:25])
    assert torch.equal(part[..., 8:-8, 8:-8], whole[..., 48:112, 40:92])


def test_luminance_is_that_of_the_papers_and_colours_come_back():
    colors = YCbCr()
    white = colors(torch.ones(1, 3, 1, 1)).flatten() * 255
    assert torch.allclose(white, torch.tensor([235.0, 128.0, 128.0]))
    x = torch.rand(2, 3, 5, 4)
    assert torch.allclose(colors.restore(colors(x)), x, atol=1e-6)
