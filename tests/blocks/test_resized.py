"""Pooled maps back at the size of what was pooled, the same in a tile as in one piece."""

import pytest
import torch
from torch.nn import functional as F

from sr_zoo.blocks import ResizedMap, TileView, resize_pooled

WINDOW, STRIDE = 15, 6
SIZE = (31, 240)


def pooled(x):
    return F.max_pool2d(x, WINDOW, STRIDE)


@pytest.fixture
def image():
    return torch.rand(2, 5, *SIZE, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_it_is_the_bilinear_resize_of_torch(image):
    cells = pooled(image)
    expected = F.interpolate(cells, size=SIZE, mode="bilinear", align_corners=False)
    found = resize_pooled(cells, SIZE, window=WINDOW, stride=STRIDE)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("start", [48, 96, 144])
def test_a_tile_gets_the_bits_of_the_whole(image, start, dtype):
    image = image.to(dtype)
    whole = resize_pooled(pooled(image), SIZE, window=WINDOW, stride=STRIDE)
    first, width, halo = start - 24, 72, 24
    view = TileView(SIZE, (0, first), (SIZE[0], width), (0, start), (SIZE[0], width - 2 * halo))
    with view.active():
        cells = pooled(image[..., first : first + width])
        tile = resize_pooled(cells, (SIZE[0], width), window=WINDOW, stride=STRIDE)
        rows = ResizedMap(cells, (SIZE[0], width), window=WINDOW, stride=STRIDE)[..., 3:9, :]
    core = slice(start - first, start - first + width - 2 * halo)
    expected = whole[..., start : start + width - 2 * halo]
    assert torch.equal(tile[..., core], expected)
    assert torch.equal(rows[..., core], expected[..., 3:9, :])


def test_training_goes_through_torchs_own_operator(image):
    cells = pooled(image).requires_grad_()
    found = resize_pooled(cells, SIZE, window=WINDOW, stride=STRIDE)
    assert torch.equal(found, F.interpolate(cells, size=SIZE, mode="bilinear"))
    found.sum().backward()
    assert cells.grad is not None
