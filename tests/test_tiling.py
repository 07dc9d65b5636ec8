"""Tiles come out as the whole image would."""

import pytest
import torch

import sr_zoo
from sr_zoo.inference.tiling import Tiling, run_tiled


def photo(height: int, width: int) -> torch.Tensor:
    """A smooth picture with edges, in [0, 1]."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    wave = 0.5 + 0.5 * torch.sin(rows / 5) * torch.cos(columns / 7)
    edge = ((rows // 11 + columns // 13) % 2).float()
    return torch.stack([wave, edge, (wave + edge) / 2])[None]


def levels(a: torch.Tensor, b: torch.Tensor) -> int:
    return int(((a * 255).round() - (b * 255).round()).abs().max())


@pytest.fixture(scope="module")
def rlfn():
    return sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo")


@pytest.mark.parametrize("size", [(70, 95), (43, 131)])
def test_tiles_of_a_local_network_equal_the_whole(rlfn, size):
    image = photo(*size)
    whole = sr_zoo.Upscaler(rlfn, tile=None).tensor(image)
    tiled = sr_zoo.Upscaler(rlfn, tile=36).tensor(image)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
    assert levels(tiled, whole) <= 1  # rounding of equal values at most


@torch.inference_mode()
def test_statistics_passes_bring_tiles_of_a_global_network_close_to_the_whole():
    network = sr_zoo.create_model("seemore_t", 4, pretrained="sr_zoo")
    image = photo(64, 96)
    whole = network(image)

    def error(passes: int) -> float:
        tiled = torch.empty_like(whole)

        def write(corner: tuple[int, int], pixels: torch.Tensor) -> None:
            top, left = corner
            tiled[..., top : top + pixels.shape[-2], left : left + pixels.shape[-1]] = pixels

        run_tiled(network, image, Tiling(side=32, halo=16, grid=16, passes=passes), write)
        return (tiled - whole).square().mean().item()

    alone, once = error(0), error(1)
    assert once < alone
    assert once < 1e-6  # 60 dB


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 3)])
def test_sides_of_few_pixels(rlfn, size):
    image = photo(*size)
    whole = sr_zoo.Upscaler(rlfn, tile=None).tensor(image)
    tiled = sr_zoo.Upscaler(rlfn, tile=6).tensor(image)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_tiles_cover_every_pixel_once():
    covered = torch.zeros(50, 33, dtype=torch.int)
    for view in Tiling(side=12, halo=5, grid=6, passes=0).views(50, 33):
        top, left = view.core_origin
        covered[top : top + view.core_size[0], left : left + view.core_size[1]] += 1
        assert view.origin[0] % 6 == view.origin[1] % 6 == 0
    assert (covered == 1).all()


def test_changed_arguments_are_tiled_by_their_own_receptive_field():
    network = sr_zoo.create_model("abpn_m4c28", 2, pretrained=False, num_blocks=9)
    image = photo(40, 40)
    whole = sr_zoo.Upscaler(network, tile=None).tensor(image)
    tiled = sr_zoo.Upscaler(network, tile=10).tensor(image)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
