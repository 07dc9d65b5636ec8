"""Who attends to whom in the two forms of omni self-attention."""

import pytest
import torch

from sr_zoo.blocks import OSA, GridOSA


def seen_by_the_first_pixel(attend, size):
    x = torch.randn(1, *size, 4, requires_grad=True)
    attend(x)[0, 0, 0].sum().backward()
    return [tuple(place) for place in x.grad[0].abs().sum(-1).nonzero().tolist()]


def test_in_windows_a_pixel_attends_to_its_neighbours():
    block = OSA(4, 2, window=2)
    assert seen_by_the_first_pixel(block.attend, (4, 6)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_on_the_grid_a_pixel_attends_across_the_whole_picture():
    block = GridOSA(4, 2, window=2)
    assert seen_by_the_first_pixel(block.attend, (4, 6)) == [(0, 0), (0, 3), (2, 0), (2, 3)]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (OSA, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        (GridOSA, [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4)]),
    ],
)
def test_channels_attend_over_their_group(block, expected):
    channel = block(4, 2, window=2).channel
    channel.qkv[1].weight.data.zero_()[:, :, 1, 1] = 1  # no neighbours
    assert (
        seen_by_the_first_pixel(
            lambda x: channel(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), (4, 6)
        )
        == expected
    )


@pytest.mark.parametrize("block", [OSA, GridOSA])
def test_shape_stays(block):
    assert block(8, 2, window=4)(torch.randn(2, 8, 8, 12)).shape == (2, 8, 8, 12)
