"""Window machinery against definitions that are slow and plain."""

import itertools
import re

import pytest
import torch
from torch.nn import functional as F

from sr_zoo.blocks import (
    GMSA,
    OSA,
    GridOSA,
    RelativePositionBias,
    WindowAttention,
    attend,
    channels_last,
    merge,
    pad_to_multiple,
    partition,
    relative_position_index,
    shift_mask,
)

WINDOWS = [((4, 4), (0, 0)), ((4, 4), (2, 2)), ((2, 6), (1, 3)), ((6, 2), (0, 1))]


@pytest.mark.parametrize(("window", "shift"), WINDOWS)
def test_merge_undoes_partition(window, shift):
    x = torch.randn(2, 12, 24, 3)
    windows = partition(x, window, shift)
    assert windows.shape == (2, 12 * 24 // (window[0] * window[1]), window[0] * window[1], 3)
    assert torch.equal(merge(windows, window, (12, 24), shift), x)


def test_a_window_holds_neighbours_row_by_row():
    x = torch.arange(8 * 8).reshape(1, 8, 8, 1)
    window = partition(x, (2, 4))[0, 1].flatten().tolist()
    assert window == [4, 5, 6, 7, 12, 13, 14, 15]


@pytest.mark.parametrize(("window", "shift"), WINDOWS)
def test_mask_separates_what_the_roll_brought_together(window, shift):
    height, width = 12, 24
    x = torch.stack(
        torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), dim=-1
    )[None].float()
    places = partition(x, window, shift)[0]
    mask = shift_mask(x, window, shift)
    for index in (0, mask.shape[0] - 1, 24 // window[1] - 1):
        for one, other in itertools.product(range(mask.shape[1]), repeat=2):
            distance = (places[index, one] - places[index, other]).abs()
            near = distance[0] < window[0] and distance[1] < window[1]
            assert mask[index, one, other] == (0 if near else -100)


def test_mask_for_strided_keys_is_the_plain_mask_of_the_squares_first_cells():
    x = torch.zeros(1, 16, 24, 1)
    strided = shift_mask(x, (8, 8), (4, 4), key_stride=2)
    plain = shift_mask(x, (8, 8), (4, 4)).unflatten(-1, (4, 2, 4, 2))[..., :, 0, :, 0]
    assert torch.equal(strided, plain.flatten(-2))


def test_relative_position_index_numbers_offsets():
    index = relative_position_index((2, 3))
    assert index.shape == (6, 6)
    assert index[0, 0] == 1 * 5 + 2  # no offset: the centre of the 3 x 5 offsets
    assert index[5, 0] == 14
    assert index[0, 5] == 0
    assert index[1, 0] == 1 * 5 + 3
    with pytest.raises(ValueError, match=r"1 to 4096 tokens, got \(64, 65\)"):
        relative_position_index((64, 65))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_attend_is_softmax_attention(masked, biased):
    query, key, value = (torch.randn(2, 6, 3, tokens, 5) for tokens in (8, 4, 4))
    bias = torch.randn(3, 8, 4) if biased else None
    mask = torch.where(torch.rand(6, 8, 4) > 0.7, -100.0, 0.0) if masked else None
    logits = query @ key.transpose(-2, -1) * 0.3
    logits = logits if bias is None else logits + bias
    logits = logits if mask is None else logits + mask[:, None]
    expected = logits.softmax(-1) @ value
    result = attend(query, key, value, bias=bias, mask=mask, scale=0.3)
    torch.testing.assert_close(result, expected)


def test_windows_do_not_see_each_other():
    attention = WindowAttention(8, 2, window=(4, 4))
    windows = torch.randn(1, 3, 16, 8)
    alone = attention(windows[:, 1:2])
    torch.testing.assert_close(attention(windows)[:, 1:2], alone)


def test_position_bias_is_the_same_for_the_same_offset():
    bias = RelativePositionBias((3, 3), 2)()
    assert bias.shape == (2, 9, 9)
    assert torch.equal(bias[:, 4, 0], bias[:, 8, 4])


def test_window_attention_refuses_heads_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match=r"channels \(10\) must be a multiple of num_heads \(4\)"):
        WindowAttention(10, 4, window=(8, 8))


@pytest.mark.parametrize("size", [(8, 16), (9, 13), (5, 7)])
def test_padding_mirrors_like_torch(size):
    x = torch.randn(1, 3, *size)
    below, right = (-side % 8 for side in size)
    expected = F.pad(x, (0, right, 0, below), mode="reflect")
    assert torch.equal(pad_to_multiple(x, 8), expected)


def test_padding_mirrors_tiny_images_again_and_again():
    row = torch.arange(3.0).expand(1, 1, 1, 3)
    assert pad_to_multiple(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert pad_to_multiple(row, 8).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: partition(channels_last(x), (8, 8)),
        GMSA(6, (4, 8)),
        OSA(6, 2, window=8),
        GridOSA(6, 2, window=8),
    ],
    ids=["partition", "GMSA", "OSA", "GridOSA"],
)
def test_a_map_that_is_no_whole_number_of_windows_is_refused(cut):
    message = re.escape("16 x 20 cells cannot be cut into 8 x 8; pad it, as by pad_to_multiple")
    with pytest.raises(ValueError, match=message):
        cut(torch.zeros(1, 6, 16, 20))
