"""GMSA and its shared form as blocks of their own, and the shift that ELAN puts beside them."""

import pytest
import torch

from sr_zoo.blocks import GMSA, SharedGMSA, shift_channels


@pytest.mark.parametrize("shifted", [False, True])
def test_maps_are_those_that_the_output_was_made_with(shifted):
    attention = GMSA(12, (2, 4), shifted=shifted).eval()
    x = torch.randn(2, 12, 8, 12)
    output, maps = attention.with_maps(x)
    torch.testing.assert_close(output, attention(x))
    assert [tuple(weights.shape) for weights in maps] == [(2, 24, 4, 4), (2, 6, 16, 16)]
    for weights in maps:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_large_windows_attend_again_as_they_did():
    attention, shared = GMSA(4, (16,)).eval(), SharedGMSA(4, (16,)).eval()
    x = torch.randn(2, 4, 16, 32)
    output, (query,) = attention.with_maps(x)
    torch.testing.assert_close(output, attention(x))
    assert query.shape == (2, 2, 256, 4)
    maps = (query @ query.transpose(-2, -1)).softmax(dim=-1)
    (values,) = shared.split(x)
    torch.testing.assert_close(shared(x, [query]), shared.join([maps @ values], x))


def test_shared_maps_weigh_the_values_of_their_own_window():
    shared = SharedGMSA(4, (2, 4)).eval()
    x = torch.randn(1, 4, 8, 8)
    everyone_alike = [torch.full((1, 16, 4, 4), 1 / 4), torch.full((1, 4, 16, 16), 1 / 16)]
    output = shared(x, everyone_alike)
    for corner in (output[..., :2, :2], output[..., 2:4, 4:6]):  # both sizes' windows hold these
        torch.testing.assert_close(corner, corner[..., :1, :1].expand_as(corner))


@pytest.mark.parametrize("window_sizes", [(4, 8, 16), ()])
def test_groups_must_divide_the_channels(window_sizes):
    message = rf"channels \(10\) must be a multiple .* groups \({len(window_sizes)}\)"
    with pytest.raises(ValueError, match=message):
        GMSA(10, window_sizes)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shifted_channels_read_the_neighbour_that_the_offset_names(layout):
    x = torch.arange(2 * 3 * 4.0).reshape(1, 2, 3, 4).contiguous(memory_format=layout)
    shifted = shift_channels(x, [(0, 1), (-1, 0)])
    assert torch.equal(shifted[0, 0, :, :3], x[0, 0, :, 1:])
    assert shifted[0, 0, :, 3].eq(0).all()
    assert torch.equal(shifted[0, 1, 1:], x[0, 1, :2])
    assert shifted[0, 1, 0].eq(0).all()


def test_the_last_group_takes_the_channels_that_are_left_over():
    x = torch.randn(1, 5, 3, 3)
    shifted = shift_channels(x, [(1, 0), (0, 0)])
    assert torch.equal(shifted[:, 2:], x[:, 2:])
