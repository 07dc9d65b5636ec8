"""Pooled maps and statistics are those of the whole image, in one piece and in tiles."""

import pytest
import torch
from torch.nn import functional as F

from sr_zoo.blocks import (
    TileView,
    global_mean,
    global_size,
    global_variance,
    max_pool_to_cells,
    spread_cells,
)


def whole_view(height: int, width: int) -> TileView:
    return TileView((height, width), (0, 0), (height, width), (0, 0), (height, width))


@pytest.mark.parametrize("cell", [2, 4, 8, 16])
def test_cells_are_those_of_the_adaptive_pool(cell):
    for height in (cell, cell + 1, 2 * cell - 1, 3 * cell + 1, 5 * cell):
        for width in range(cell, 6 * cell, 3):
            x = torch.randn(2, 3, height, width)
            expected = F.adaptive_max_pool2d(x, (height // cell, width // cell))
            assert torch.equal(max_pool_to_cells(x, cell), expected)


@pytest.mark.parametrize("cell", [2, 8])
def test_every_pixel_of_a_view_reads_the_cell_that_it_reads_in_one_piece(cell):
    for width in range(cell, 300):
        cells = torch.arange(width // cell).float().expand(1, 1, 1, -1)
        expected = spread_cells(cells, (1, width), cell)
        with whole_view(cell, width).active():
            spread = spread_cells(cells, (1, width), cell)
        assert torch.equal(spread, expected), width


@pytest.mark.parametrize("width", [160, 163, 167])
def test_a_tile_sees_the_cells_of_the_whole_image(width):
    cell, side, halo = 8, 32, 32
    x = torch.randn(1, 2, 9, width)
    whole = spread_cells(max_pool_to_cells(x, cell), (9, width), cell)
    for start in range(0, width, side):
        end = min(start + side, width)
        first, last = max(start - halo, 0), min(end + halo, width)
        view = TileView((9, width), (0, first), (9, last - first), (0, start), (9, end - start))
        with view.active():
            tile = max_pool_to_cells(x[..., first:last], cell)
            tile = spread_cells(tile, (9, last - first), cell)
        assert torch.equal(tile[..., start - first : end - first], whole[..., start:end])


def test_variance_is_that_of_the_whole_image():
    x = torch.randn(2, 3, 16, 40) + 100
    expected = torch.var(x, dim=(2, 3), correction=0, keepdim=True)
    assert torch.equal(global_variance(x), expected)
    views = [
        TileView((16, 40), (0, start), (16, 24), (0, start), (16, core))
        for start, core in ((0, 16), (16, 24))
    ]
    views[1].statistics = views[0].statistics
    for view in views:
        with view.active():
            tile = x[..., view.origin[1] : view.origin[1] + 24]
            global_mean(tile)
            global_variance(tile)
            assert global_size(tile) == (16, 40)
    views[0].statistics.advance()
    for view in views:
        with view.active():
            tile = x[..., view.origin[1] : view.origin[1] + 24]
            global_mean(tile)
            torch.testing.assert_close(global_variance(tile), expected, rtol=1e-5, atol=0)
