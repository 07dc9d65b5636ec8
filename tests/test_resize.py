import numpy as np
import pytest
import torch
from PIL import Image
from shared_data import shared

from sr_zoo.errors import ImageFormatError, OptionError
from sr_zoo.evaluation.resize import imresize


def random_image(height, width, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
def test_lr_images_of_the_benchmarks_come_out_in_every_value(dataset, scale):
    paths = sorted(shared("data", "eval", dataset, "HR").glob("*.png"))
    assert paths
    for path in paths:
        given = path.parents[1] / "LR_bicubic" / f"X{scale}" / f"{path.stem}x{scale}.png"
        hr, lr = (np.asarray(Image.open(file).convert("RGB")) for file in (path, given))
        height, width = (side // scale * scale for side in hr.shape[:2])
        np.testing.assert_array_equal(imresize(hr[:height, :width], 1 / scale), lr, path.name)


def test_a_ramp_is_resized_as_by_hand():
    # at one half, each output pixel lies between two input pixels; the kernel, twice as wide,
    # takes eight of them with these weights
    weights = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    row = np.arange(16, dtype=np.float64) ** 2
    image = np.tile(row, (16, 1))
    out = imresize(image, 0.5)
    assert out.shape == (8, 8)
    np.testing.assert_allclose(out[4, 3], weights @ row[3:11], rtol=1e-12)
    mirrored = np.concatenate([row[2::-1], row[:5]])
    np.testing.assert_allclose(out[4, 0], weights @ mirrored, rtol=1e-12)


@pytest.mark.parametrize("factor", [0.3, 0.5, 1, 1.7, 4])
def test_constant_images_stay_constant(factor):
    image = np.full((13, 7, 3), 201, np.uint8)
    assert (imresize(image, factor) == 201).all()


def test_factor_one_changes_nothing():
    image = random_image(9, 14)
    np.testing.assert_array_equal(imresize(image, 1), image)


@pytest.mark.parametrize(
    ("side", "factor", "expected"), [(30, 0.1, 3), (10, 1 / 3, 4), (49, 1 / 49, 1), (5, 2.5, 13)]
)
def test_sides_are_rounded_up(side, factor, expected):
    assert imresize(np.zeros((side, side)), factor).shape == (expected, expected)


def test_each_axis_has_its_own_factor_when_a_size_is_given():
    image = torch.rand(2, 3, 12, 20, dtype=torch.float64)
    out = imresize(image, size=(24, 5))
    columns = imresize(image.movedim(-1, -2), size=(5, 12)).movedim(-1, -2)
    rows = imresize(columns, size=(24, 5))
    torch.testing.assert_close(out, rows)


def test_arrays_and_tensors_agree():
    image = random_image(24, 31)
    tensor = torch.from_numpy(image).movedim(-1, 0)
    out = imresize(tensor, 0.5)
    assert out.dtype == torch.uint8
    np.testing.assert_array_equal(out.movedim(0, -1).numpy(), imresize(image, 0.5))
    np.testing.assert_array_equal(imresize(image[..., 0], 0.5), imresize(image, 0.5)[..., 0])


def test_sixteen_bits_clip_at_their_own_maximum():
    image = np.zeros((8, 8), np.uint16)
    image[:, 4:] = 65535
    out = imresize(image, 2)
    assert out.dtype == np.uint16
    assert out.min() == 0
    assert out.max() == 65535


def test_signed_numbers_and_foreign_byte_orders_keep_their_values():
    image = np.array([[-200, 100], [300, -5]], np.int16)
    np.testing.assert_array_equal(imresize(image, 1), image)
    foreign = imresize(image.astype(image.dtype.newbyteorder("S")), 2)
    np.testing.assert_array_equal(foreign, imresize(image, 2))


def test_masks_are_refused():
    with pytest.raises(ImageFormatError, match="nothing between False and True; convert"):
        imresize(np.zeros((4, 4), bool), 0.5)


def test_float_images_are_neither_rounded_nor_clipped():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 1
    out = imresize(image, 2)
    assert out.max() > 1
    assert out.min() < 0


def test_half_precision_is_as_good_as_its_output():
    image = torch.rand(3, 16, 16)
    expected = imresize(image.bfloat16().float(), 0.25).bfloat16()
    torch.testing.assert_close(imresize(image.bfloat16(), 0.25), expected, rtol=0, atol=0)


def test_gradients_flow():
    image = torch.rand(1, 2, 7, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(x, 0.5), image)


def test_without_antialiasing_shrinking_samples():
    image = np.random.RandomState(0).random_sample((9, 9))
    # at one third, each output pixel lies on an input pixel
    np.testing.assert_allclose(
        imresize(image, 1 / 3, antialias=False), image[1::3, 1::3], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either a factor or a size"),
        ({"factor": 2, "size": (4, 4)}, "either a factor or a size"),
        ({"factor": 0}, "positive number, got 0"),
        ({"factor": float("nan")}, "positive number, got nan"),
        ({"size": (0, 4)}, r"at least 1 x 1 pixel, got \(0, 4\)"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        imresize(np.zeros((4, 4)), **options)


@pytest.mark.parametrize("shape", [(4,), (0, 4)])
def test_images_without_pixels_are_refused(shape):
    with pytest.raises(ImageFormatError, match="height and width"):
        imresize(np.zeros(shape), 2)
