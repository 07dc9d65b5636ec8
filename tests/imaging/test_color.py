"""Colours under transparency."""

import numpy as np
import pytest

from sr_zoo.imaging.color import bleed


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 5), (17, 70), (64, 64), (70, 1)])
@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_one_visible_colour_fills_everything(size: tuple[int, int], hidden: float) -> None:
    rgb = np.full((*size, 3), hidden, np.float32)
    alpha = np.zeros(size, np.float32)
    rgb[-1, -1], alpha[-1, -1] = (0.8, 0.1, 0.0), 0.5
    np.testing.assert_allclose(bleed(rgb, alpha), np.broadcast_to(rgb[-1, -1], rgb.shape), 1e-5)


def test_visible_colours_stay_exactly() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.random((33, 20, 3), np.float32)
    alpha = np.maximum(rng.random((33, 20), np.float32) - 0.5, 0)
    visible = alpha > 0
    np.testing.assert_array_equal(bleed(rgb, alpha)[visible], rgb[visible])
    assert bleed(rgb, np.ones_like(alpha)) is rgb
    assert bleed(rgb, np.zeros_like(alpha)) is rgb


@pytest.mark.parametrize("edge", [31, 32, 33])
def test_the_nearest_colour_is_taken_across_every_border(edge: int) -> None:
    """A power of two is where the borders of all coarser views lie."""
    rgb = np.zeros((8, 64, 3), np.float32)
    rgb[:, : edge - 4] = (0, 1, 0)  # far from the border, and to stay out of sight there
    rgb[:, edge - 4 : edge] = (1, 0, 0)
    alpha = np.zeros((8, 64), np.float32)
    alpha[:, :edge] = 1
    np.testing.assert_allclose(bleed(rgb, alpha)[:, edge], [[1, 0, 0]] * 8, atol=1e-6)
