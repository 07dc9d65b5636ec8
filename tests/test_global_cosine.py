"""Channel attention's logits over an image, in one piece and tile by tile."""

import pytest
import torch

from sr_zoo.blocks import TileView, global_cosine
from sr_zoo.blocks.tile_view import Statistics


def test_cosine_compares_channels_over_all_pixels():
    a, b = torch.randn(2, 3, 4, 6, 5), torch.randn(2, 3, 2, 6, 5)
    cosines = global_cosine(a, b)
    assert cosines.shape == (2, 3, 4, 2)
    expected = torch.cosine_similarity(a[1, 2, 3].flatten(), b[1, 2, 1].flatten(), dim=0)
    torch.testing.assert_close(cosines[1, 2, 3, 1], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_cosine_with_a_channel_of_zeros_is_zero(dtype):
    a, b = torch.zeros(1, 2, 3, 3, dtype=dtype), torch.rand(1, 2, 3, 3, dtype=dtype)
    assert torch.equal(global_cosine(a, b), torch.zeros(1, 2, 2, dtype=dtype))


def test_tiles_compare_channels_as_the_whole_image_does():
    a, b = torch.randn(1, 2, 4, 8, 12), torch.randn(1, 2, 4, 8, 12)
    statistics = Statistics()
    views = [
        TileView((8, 12), (0, 0), (8, 8), (0, 0), (8, 6), statistics),
        TileView((8, 12), (0, 4), (8, 8), (0, 6), (8, 6), statistics),
    ]

    def run(view):
        tile = slice(view.origin[1], view.origin[1] + view.size[1])
        with view.active():
            return global_cosine(a[..., tile], b[..., tile])

    for view in views:
        run(view)
    statistics.advance()
    for view in views:
        torch.testing.assert_close(run(view), global_cosine(a, b))
