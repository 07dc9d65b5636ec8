import math

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo.evaluation
from sr_zoo.errors import ImageFormatError, OptionError
from sr_zoo.evaluation.metrics import as_pixels, luminance, psnr_rgb, psnr_y, ssim_rgb, ssim_y
from sr_zoo.evaluation.resize import imresize


def images(height=24, width=30, seed=0):
    rng = np.random.RandomState(seed)
    a = rng.randint(0, 256, (height, width, 3))
    b = np.clip(a + rng.randint(-20, 21, a.shape), 0, 255)
    return a.astype(np.uint8), b.astype(np.uint8)


def test_luminance_is_in_studio_swing():
    corners = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0]]], np.uint8)
    y = luminance(as_pixels(corners))
    torch.testing.assert_close(y.flatten().tolist(), [16.0, 235.0, 81.481, 144.553])


def test_psnr_of_one_grey_level():
    a = np.full((20, 20, 3), 100, np.uint8)
    assert psnr_rgb(a, a + 1, shave=4) == pytest.approx(20 * math.log10(255))
    # one level of grey is 219/255 levels of luminance
    assert psnr_y(a, a + 1, shave=4) == pytest.approx(20 * math.log10(255 * 255 / 219))


def test_psnr_rgb_takes_the_error_of_all_channels_together():
    a = np.zeros((4, 4, 3), np.uint8)
    b = a.copy()
    b[..., 0] = 30
    assert psnr_rgb(a, b, shave=0) == pytest.approx(10 * math.log10(255**2 / (900 / 3)))


def test_shaved_borders_do_not_count():
    a, b = images()
    b[2:-2, 2:-2] = a[2:-2, 2:-2]
    assert psnr_y(a, b, shave=2) == math.inf
    assert psnr_y(a, b, shave=1) < 40
    assert ssim_y(a, b, shave=2) == pytest.approx(1)


def reference_ssim(x, y):
    """SSIM of two planes, window by window, as the definition says."""
    offset = np.arange(11) - 5
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()
    scores = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            p, q = (plane[top : top + 11, left : left + 11] for plane in (x, y))
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            cov = (window * (p - mean_p) * (q - mean_q)).sum()
            c1, c2 = 6.5025, 58.5225
            scores.append(
                (2 * mean_p * mean_q + c1)
                * (2 * cov + c2)
                / ((mean_p**2 + mean_q**2 + c1) * (var_p + var_q + c2))
            )
    return np.mean(scores)


def test_ssim_follows_its_definition():
    a, b = images()
    planes_a, planes_b = (x[3:-3, 3:-3].astype(np.float64) for x in (a, b))
    channels = [reference_ssim(planes_a[..., c], planes_b[..., c]) for c in range(3)]
    assert ssim_rgb(a, b, shave=3) == pytest.approx(np.mean(channels), abs=1e-10)
    y_a, y_b = (
        planes @ [65.481 / 255, 128.553 / 255, 24.966 / 255] + 16 for planes in (planes_a, planes_b)
    )
    assert ssim_y(a, b, shave=3) == pytest.approx(reference_ssim(y_a, y_b), abs=1e-10)


@pytest.mark.parametrize("metric", [psnr_y, psnr_rgb, ssim_y, ssim_rgb])
def test_arrays_and_tensors_agree(metric):
    a, b = images()
    expected = metric(a, b, shave=2)
    tensors = [torch.from_numpy(x).movedim(-1, 0) for x in (a, b)]
    assert metric(*tensors, shave=2) == expected
    floats = [x[None] / 255 for x in tensors]
    assert metric(*floats, shave=2) == expected
    assert metric(a, floats[1], shave=2) == expected


def test_floats_are_clipped_and_rounded_to_eight_bits():
    x = torch.tensor([-0.2, 0.4 / 255, 0.6 / 255, 1.3]).expand(3, 2, 4)
    assert as_pixels(x)[0, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize(
    "measure", [getattr(sr_zoo.evaluation, name) for name in sr_zoo.evaluation.__all__]
)
@pytest.mark.parametrize("image", [Image.new("RGB", (30, 24)), "a.png", [[1]], None])
def test_what_is_neither_an_array_nor_a_tensor_is_refused(measure, image):
    a, _ = images()
    given = [(image, 2)] if measure is imresize else [(image, a), (a, image), (image, image)]
    options = {} if measure is imresize else {"shave": 0}
    for arguments in given:
        with pytest.raises(ImageFormatError, match=r"must be an array or a tensor, got"):
            measure(*arguments, **options)


@pytest.mark.parametrize("shave", [2.0, "2", None])
def test_shaving_takes_whole_pixels(shave):
    a, b = images()
    with pytest.raises(OptionError, match="must be a whole number of pixels, got"):
        psnr_y(a, b, shave=shave)


def test_sizes_must_match():
    a, b = images()
    with pytest.raises(ImageFormatError, match="24x30 and 24x29"):
        psnr_y(a, b[:, 1:], shave=0)


@pytest.mark.parametrize("shave", [-1, 12])
def test_a_shave_must_leave_pixels(shave):
    with pytest.raises(OptionError, match=f"Cannot shave {shave} pixels"):
        psnr_y(*images(), shave=shave)


def test_ssim_needs_room_for_its_window():
    assert psnr_y(*images(), shave=7) < 40
    with pytest.raises(OptionError, match="at least 11x11 must be left"):
        ssim_y(*images(), shave=7)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 3)),
        np.zeros((8, 8, 4), np.uint8),
        torch.zeros(2, 3, 8, 8),
        torch.zeros(8, 8, 3),
        torch.zeros(3, 8, 8, dtype=torch.int32),
    ],
)
def test_other_kinds_of_images_are_refused(image):
    with pytest.raises(ImageFormatError, match="to measure must be"):
        psnr_y(image, image, shave=0)
