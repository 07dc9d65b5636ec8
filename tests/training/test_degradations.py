import pickle

import numpy as np
import pytest
import torch

from sr_zoo.errors import OptionError
from sr_zoo.training.data import Patches, open_images
from sr_zoo.training.degradations import (
    JPEG,
    Bicubic,
    Chain,
    GaussianBlur,
    GaussianNoise,
    OneOf,
    PoissonNoise,
    Shuffled,
    build_degradation,
    filtered,
    gaussian_kernel,
    sinc_kernel,
)
from sr_zoo.training.recipe import Data, Degradation
from sr_zoo.training.trainer import train


def rng(seed=0):
    return np.random.default_rng(seed)


def test_kernels_have_the_width_direction_and_cutoff_asked_for():
    kernel = gaussian_kernel(2.0, 1.0, np.pi / 2).double()  # the long axis is vertical
    offsets = torch.arange(kernel.shape[0]) - kernel.shape[0] // 2
    assert float(kernel.sum()) == pytest.approx(1)
    # cut at three standard deviations, a Gaussian keeps 97 % of its variance
    assert float((kernel.sum(1) * offsets**2).sum()) == pytest.approx(4, rel=0.05)
    assert float((kernel.sum(0) * offsets**2).sum()) == pytest.approx(1, rel=0.05)
    spectrum = torch.fft.fft2(sinc_kernel(np.pi / 2, 41), (64, 64)).abs()
    assert spectrum[0, 8] == pytest.approx(1, abs=0.1)  # a quarter of pi passes
    assert spectrum[0, 24] == pytest.approx(0, abs=0.1)  # three quarters do not


def test_filtering_keeps_flat_images_and_size():
    flat = torch.full((3, 9, 7), 0.25)
    torch.testing.assert_close(filtered(flat, gaussian_kernel(3, 1, 0.3)), flat)


def test_a_blur_of_no_width_changes_nothing(noise):
    image = noise(3, 9, 7)
    torch.testing.assert_close(GaussianBlur((0, 0))(image, rng()), image)


def test_noise_has_the_strength_asked_for():
    grey = torch.full((3, 200, 200), 0.5)
    noisy = GaussianNoise((10, 10), grey=0)(grey, rng())
    assert float((noisy - grey).std()) * 255 == pytest.approx(10, rel=0.02)
    same = GaussianNoise((10, 10), grey=1)(grey, rng())
    assert torch.equal(same[0], same[2])
    counted = PoissonNoise((1, 1))(grey, rng())
    assert float((counted - grey).std()) == pytest.approx(np.sqrt(0.5 / 255), rel=0.02)


def test_jpeg_at_low_quality_loses_more(noise):
    image = noise(3, 32, 32)
    errors = [float((JPEG((q, q))(image, rng()) - image).abs().mean()) for q in (20, 60, 95)]
    assert errors[0] > errors[1] > errors[2] > 0


def test_parts_compose(noise):
    image, blur, add = noise(3, 16, 16), GaussianBlur((1, 1)), GaussianNoise((5, 5))
    drawn = rng()
    assert torch.equal(Chain((blur, add))(image, rng()), add(blur(image, drawn), drawn))
    found = {round(float(Shuffled((blur, add))(image, rng(s)).std()), 2) for s in range(8)}
    assert len(found) == 2  # noise is blurred, or it is not
    never = OneOf((blur, Chain(())), (0.0, 1.0))
    assert torch.equal(never(image, rng()), image)


@pytest.mark.parametrize("name", ["bicubic", "classical", "second_order"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_chains_reduce_and_repeat_themselves_for_the_same_draw(name, scale, noise):
    degrade = build_degradation(name, scale, {})
    image = noise(3, 12 * scale, 16 * scale)
    for seed in range(5):
        small = degrade(image, rng(seed))
        assert small.shape == (3, 12, 16)
        assert small.min() >= 0
        assert small.max() <= 1
        assert torch.equal(small, degrade(image, rng(seed)))


@pytest.mark.parametrize("name", ["bicubic", "classical", "second_order"])
def test_chains_reach_workers_that_are_not_forked(name, noise):
    degrade = build_degradation(name, 2, {})
    image = noise(3, 24, 24)
    sent = pickle.loads(pickle.dumps(degrade))
    assert torch.equal(sent(image, rng()), degrade(image, rng()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": 15}, "sigma of GaussianNoise must be two numbers of at least 0, .* got 15"),
        ({"noise": [1, 2, 3]}, r"got \(1, 2, 3\)"),
        ({"noise": ["1", "2"]}, "must be two numbers"),
        ({"noise": [-1, 2]}, "at least 0, the smaller first"),
        (
            {"quality": [95, 50]},
            r"quality of JPEG must be two whole numbers from 1 to 100, .* got \(95, 50\)",
        ),
        ({"quality": [0, 50]}, "quality of JPEG"),
        ({"quality": [50.5, 60.5]}, "two whole numbers"),
        ({"sigma": [0.2, float("nan")]}, "sigma of GaussianBlur"),
    ],
)
def test_ranges_that_nothing_can_be_drawn_from_are_refused(arguments, message):
    with pytest.raises(OptionError, match=f"degradation 'classical': .*{message}"):
        build_degradation("classical", 2, arguments)


def test_patches_are_degraded_as_the_recipe_says(photos):
    mixed = (Degradation("bicubic"), Degradation("classical", 2.0, {"noise": [50, 50]}))
    data = Data(train=(str(photos),), patch_size=32, degradations=mixed)
    patches = Patches(open_images(data, 2), 2, data, 0)
    errors = [
        float((small - Bicubic(2)(large, rng())).abs().mean())
        for small, large in map(patches.__getitem__, range(60))
    ]
    plain = sum(error < 0.001 for error in errors)
    assert 10 <= plain <= 30  # a third of 60
    assert sorted(errors)[plain] > 0.03


@pytest.mark.parametrize("weights", [(0.0, 0.0), (1.0, -1.0), (float("nan"), 1.0)])
def test_weights_that_are_no_chances_are_refused(tiny, tmp_path, weights):
    mixed = [{"name": "bicubic", "weight": weight} for weight in weights]
    with pytest.raises(OptionError, match="weights of degradations must not be negative, and"):
        train(tiny(data__degradations=mixed), output=tmp_path / "run", quiet=True)
    with pytest.raises(OptionError, match="weights of degradations"):
        OneOf((Bicubic(2), Bicubic(2)), weights)


def test_unknown_degradations_and_arguments_are_refused(tiny, tmp_path):
    with pytest.raises(OptionError, match=r"Unknown degradation 'clasical'\. Did you mean"):
        train(tiny(data__degradations=[{"name": "clasical"}]), output=tmp_path, quiet=True)
    with pytest.raises(OptionError, match=r"degradation 'classical': .*blur"):
        build_degradation("classical", 2, {"blur": 1})
