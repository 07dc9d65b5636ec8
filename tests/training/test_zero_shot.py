from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from sr_zoo.cli import main
from sr_zoo.errors import OptionError, SRZooError
from sr_zoo.evaluation import imresize, psnr_y
from sr_zoo.training.degradations import filtered, gaussian_kernel
from sr_zoo.training.zero_shot import zero_shot, zero_shot_file

PHOTO = Path(__file__).parents[2] / "examples" / "chelsea.png"


@pytest.fixture(scope="module")
def eye():
    """The cat's eye, (3, 64, 64)."""
    with Image.open(PHOTO) as image:
        pixels = np.asarray(image.convert("RGB").crop((90, 40, 154, 104)))
    return torch.from_numpy(pixels.copy()).movedim(-1, 0).float() / 255


def blurred_reduction(image, scale):
    """A reduction that no weights were trained for: a wide blur, then every second pixel."""
    blurred = filtered(image[0], gaussian_kernel(1.8, 1.2, 0.5))[None]
    return F.avg_pool2d(blurred, scale)


def test_zssr_undoes_a_degradation_that_it_is_told_of(eye):
    small = blurred_reduction(eye[None], 2)[0]
    result = zero_shot(small, 2, iterations=25, reduction=blurred_reduction)
    assert result.shape == eye.shape
    before, after = (psnr_y(x.clamp(0, 1), eye, shave=2) for x in (imresize(small, 2), result))
    assert after > before + 0.5


def test_the_deep_image_prior_fits_its_reduction_to_the_image(eye):
    small = imresize(eye, 0.5).clamp(0, 1)
    losses = []
    result = zero_shot(
        small,
        2,
        method="deep-image-prior",
        iterations=40,
        progress=lambda _, loss: losses.append(loss),
    )
    assert result.shape == eye.shape
    assert losses[-1] < 0.2 * losses[0]
    assert psnr_y(result, eye, shave=2) > 17


def test_the_same_seed_gives_the_same_picture_and_leaves_the_callers_draws(eye):
    state = torch.get_rng_state()
    first, second = (zero_shot(eye[:, :33, :40], 2, iterations=2, noise=5) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (3, 66, 80)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, zero_shot(eye[:, :33, :40], 2, iterations=2, noise=5, seed=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "zsr"}, "method must be one of zssr, deep-image-prior, got 'zsr'"),
        ({"scale": 5}, "64x64 pixels; to learn from it alone at scale 5 it needs 80x80"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"noise": -1.0}, "noise not negative"),
        ({"noise": float("nan")}, "noise not negative and finite, .* got 1000, nan and 2"),
        ({"noise": float("inf")}, "noise not negative and finite"),
    ],
)
def test_wrong_options(eye, options, message):
    with pytest.raises(OptionError, match=message):
        zero_shot(eye, **options)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("photo.png", "is an input and would be replaced"),
        (".", "is an input and would be replaced"),
        ("big.xyz", "no image format known"),
        ("notes.txt/big.png", "the folder cannot be made"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_learned(tmp_path, output, message):
    source = tmp_path / "photo.png"
    Image.new("RGB", (40, 32)).save(source)
    (tmp_path / "notes.txt").touch()
    steps = []
    with pytest.raises(SRZooError, match=message):
        zero_shot_file(
            source, tmp_path / output, 2, iterations=2, progress=lambda *step: steps.append(step)
        )
    assert not steps
    with Image.open(source) as image:
        assert image.size == (40, 32)


def test_a_missing_folder_is_made(tmp_path):
    Image.new("RGB", (40, 32)).save(tmp_path / "photo.png")
    target = tmp_path / "enlarged" / "photo.png"
    zero_shot_file(tmp_path / "photo.png", target, 2, iterations=1)
    assert target.is_file()


def test_command_line_keeps_transparency_and_depth(tmp_path):
    with Image.open(PHOTO) as image:
        part = image.convert("RGBA").crop((0, 0, 40, 32))
    part.putalpha(Image.linear_gradient("L").resize((40, 32)))
    part.save(tmp_path / "small.png")
    names = [str(tmp_path / "small.png"), "-o", str(tmp_path / "big.png")]
    with pytest.raises(SystemExit) as stopped:
        main(["zero-shot", *names, "--iterations", "2"])
    assert not stopped.value.code
    with Image.open(tmp_path / "big.png") as image:
        assert (image.mode, image.size) == ("RGBA", (80, 64))
        assert image.getchannel("A").getextrema()[1] > 240
