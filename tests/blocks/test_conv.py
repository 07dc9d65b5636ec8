"""Convolutions that the library's networks share."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    BSConv,
    ShiftConv,
    add_identity,
    conv2d_each,
    conv3x3,
    half_convs,
    separable_parts,
)


def test_added_identity_hands_every_channel_on():
    x = torch.rand(1, 3, 4, 5)
    conv = conv3x3(3, 12)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    enlarged = F.pixel_shuffle(add_identity(conv, 4)(x), 2)
    assert torch.equal(enlarged, F.interpolate(x, scale_factor=2, mode="nearest"))


def test_shift_convolution_sees_eight_neighbours_and_not_the_pixel_itself():
    x = torch.zeros(1, 8, 5, 5)
    x[..., 2, 2] = 1
    conv = ShiftConv(8, 8)
    for layer in (conv.expand, conv.project):
        nn.init.eye_(layer.weight[..., 0, 0])
        nn.init.zeros_(layer.bias)
    assert conv(x).sum(1)[0].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 0, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]


def test_shift_convolution_needs_a_multiple_of_eight_channels():
    with pytest.raises(ValueError, match="multiple of 8, got 12"):
        ShiftConv(12, 12)


@pytest.mark.parametrize("bias", [True, False])
def test_halves_of_a_convolution_are_those_of_its_shuffled_output(bias):
    conv = nn.Conv2d(6, 8, 1, bias=bias)
    x = torch.rand(2, 6, 4, 5)
    expected = F.channel_shuffle(conv(x), 2).chunk(2, dim=1)
    shuffled = [half(x) for half in half_convs(conv, shuffle=True)]
    torch.testing.assert_close(shuffled, list(expected))
    plain = [half(x) for half in half_convs(conv)]
    torch.testing.assert_close(plain, list(conv(x).chunk(2, dim=1)))


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_parts_of_a_separable_convolution_are_computed_apart(kernel_size):
    conv = BSConv(5, 12, kernel_size, padding=kernel_size // 2, bias=False)
    x = torch.rand(2, 5, 6, 9).contiguous(memory_format=torch.channels_last)
    parts = separable_parts(x, conv, 3)
    torch.testing.assert_close(parts, list(conv(x).chunk(3, dim=1)))
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in parts)


@pytest.mark.parametrize("batch", [1, 3])
def test_each_image_is_convolved_with_its_own_kernel(batch):
    torch.manual_seed(0)
    x = torch.randn(batch, 4, 9, 7)
    weight, bias = torch.randn(batch, 5, 4, 3, 3), torch.randn(batch, 5)
    expected = [F.conv2d(x[i : i + 1], weight[i], bias[i], padding=1) for i in range(batch)]
    torch.testing.assert_close(conv2d_each(x, weight, bias, 1), torch.cat(expected))
