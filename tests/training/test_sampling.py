"""Patches of every texture are seen equally often at first, and all patches in the end."""

import numpy as np
import pytest

from sr_zoo.training.sampling import NUM_CLASSES, EqualisedPlaces, mean_texture


@pytest.fixture
def images():
    """Two images, flat but for a corner of noise in the second."""
    rng = np.random.default_rng(0)
    flat, corner = (np.full((64, 96, 3), 128, np.uint8) for _ in range(2))
    corner[:24, :24] = rng.integers(0, 256, (24, 24, 1), np.uint8)
    return [flat, corner]


def test_texture_is_the_mean_gradient():
    ramp = np.repeat(np.arange(16, dtype=np.uint8)[:, None, None], 3, axis=2) * 2
    assert mean_texture(np.repeat(ramp, 16, axis=1), 8, 8)[0].tolist() == pytest.approx([2, 2])


def test_rare_texture_is_seen_as_often_as_what_is_frequent(images):
    places = EqualisedPlaces(images, side=16, total=10**9)
    share = 1 / len(places.classes)
    assert 2 < len(places.classes) <= NUM_CLASSES
    drawn = [places.draw(i, np.random.default_rng((0, i))) for i in range(2000)]
    flat = sum(mean_texture(images[n], 16, 1)[top, left] == 0 for n, top, left in drawn) / 2000
    assert flat < 2 * share  # of the places nine out of ten are flat
    for number, top, left in drawn:
        height, width = images[number].shape[:2]
        assert 0 <= top <= height - 16
        assert 0 <= left <= width - 16


def test_sampling_is_annealed_to_uniform(images):
    places = EqualisedPlaces(images, side=16, total=3000)
    any_patch = [places.draw(i, np.random.default_rng((0, i))) is None for i in range(3000)]
    early, late = np.mean(any_patch[:1000]), np.mean(any_patch[-1000:])
    assert early == pytest.approx(1 / 6, abs=0.05)
    assert late == pytest.approx(5 / 6, abs=0.05)


def test_a_place_depends_on_its_number_alone(images):
    places, twin = (EqualisedPlaces(images, side=16, total=100) for _ in range(2))
    for number in (7, 3, 7):
        draw, again = (p.draw(number, np.random.default_rng(number)) for p in (places, twin))
        assert draw == again


def test_flat_images_alone_are_one_class(images):
    assert len(EqualisedPlaces(images[:1], side=16, total=10).classes) == 1
