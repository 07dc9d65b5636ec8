"""Images of every kind in, the same kind out."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo import errors
from sr_zoo.imaging import Picture
from sr_zoo.inference.networks import default_weights
from sr_zoo.network import device_of

PHOTO = Path(__file__).parents[1] / "examples" / "chelsea.png"


@pytest.fixture(scope="module")
def upscaler():
    return sr_zoo.Upscaler("rlfn_s_x4.sr_zoo")


@pytest.fixture(scope="module")
def photo():
    with Image.open(PHOTO) as image:
        return image.crop((80, 30, 104, 50))


def test_every_kind_gives_the_same_pixels(photo, tmp_path):
    upscaler = sr_zoo.Upscaler("rlfn_s_x4.sr_zoo", dtype="float32")  # `auto` rounds 8 bits alone
    expected = np.asarray(upscaler(photo))
    assert expected.shape == (80, 96, 3)
    array = np.asarray(photo)
    assert np.array_equal(upscaler(array), expected)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    assert np.array_equal(upscaler(tensor).permute(1, 2, 0).numpy(), expected)
    assert np.array_equal(upscaler(tensor[None])[0].permute(1, 2, 0).numpy(), expected)
    photo.save(tmp_path / "photo.png")
    assert np.array_equal(np.asarray(upscaler(tmp_path / "photo.png")), expected)
    data = upscaler((tmp_path / "photo.png").read_bytes())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), expected)
    floats = upscaler(array.astype(np.float32) / 255)
    assert np.abs(floats * 255 - expected).max() <= 0.501


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float16, np.float64])
@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 1), (9, 8, 3), (9, 8, 4)])
def test_arrays_keep_type_and_layout(upscaler, dtype, shape):
    values = np.random.default_rng(0).random(shape)
    top = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    result = upscaler((values * top).astype(dtype))
    assert result.dtype == dtype
    assert result.shape == (36, 32, *shape[2:])
    assert result.min() >= 0
    assert result.max() <= top


@pytest.mark.parametrize(
    "view",
    [
        lambda pixels: pixels[..., ::-1],  # BGR read as RGB
        lambda pixels: pixels[::-1],
        lambda pixels: pixels.astype(">u2") * 257,  # as TIFF files have it
        lambda pixels: np.asfortranarray(pixels),
    ],
)
def test_arrays_may_lie_in_memory_in_any_order(upscaler, photo, view):
    array = view(np.asarray(photo))
    plain = np.array(array.tolist(), dtype=array.dtype.newbyteorder("="))
    assert np.array_equal(upscaler(array), upscaler(plain))


def test_what_comes_back_is_a_tensor_like_any_other(upscaler):
    target = upscaler(torch.rand(1, 3, 8, 8))
    target.mul_(0.5)
    student = torch.zeros_like(target, requires_grad=True)
    torch.nn.functional.mse_loss(student, target).backward()
    assert student.grad is not None


def test_tensors_may_be_made_elsewhere_by_default(photo):
    array = np.asarray(photo.convert("RGBA"))
    expected = sr_zoo.Upscaler("bicubic", 2, device="cpu")(array)
    with torch.device("meta"):
        assert np.array_equal(sr_zoo.Upscaler("bicubic", 2, device="cpu")(array), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["bicubic", "rlfn_s"])
def test_a_network_upscales_whatever_type_it_is_of(name, dtype):
    network = sr_zoo.create_model(name, 2, pretrained=False, dtype=dtype)
    assert sr_zoo.Upscaler(network, device="cpu")(torch.rand(1, 3, 8, 8)).shape == (1, 3, 16, 16)


def test_images_go_where_a_network_is_that_learns_nothing():
    network = sr_zoo.create_model("bicubic", 2, device="meta")
    assert device_of(network).type == "meta"


def test_pixels_brighter_than_white_stay_so(upscaler):
    values = np.random.default_rng(0).random((9, 8, 3), np.float32)
    values[0, 0] = 1
    usual = upscaler.picture(Picture(values)).pixels
    bright = upscaler.picture(Picture(values * 4095)).pixels
    np.testing.assert_allclose(bright, usual * 4095, rtol=1e-4, atol=0.5)


@pytest.mark.parametrize("tile", [None, 12])
def test_a_network_that_enlarges_otherwise_than_it_says_is_refused(tile):
    network = sr_zoo.create_model("rlfn_s", 4, pretrained=False)
    network.upsampler = sr_zoo.create_model("rlfn_s", 3, pretrained=False).upsampler
    upscaler = sr_zoo.Upscaler(network, tile=tile, runtime="torch")
    with pytest.raises(errors.OptionError, match=r"says that it enlarges by 4, .* it gave \("):
        upscaler(np.zeros((20, 24, 3), np.uint8))


@pytest.mark.parametrize("peak", [10, 65504])
def test_a_few_bright_pixels_leave_the_rest_of_a_picture_alone(upscaler, peak):
    with Image.open(PHOTO) as photo:
        values = np.asarray(photo.crop((60, 40, 100, 70)), np.float32) / 255
    usual = upscaler.picture(Picture(values)).pixels
    values[3, 3] = peak
    bright = upscaler.picture(Picture(values)).pixels
    far = np.abs(bright - usual)[40:, 40:]
    assert far.mean() < 0.01
    assert far.max() < 0.1
    assert peak / 2 < bright[12:16, 12:16].max() < peak * 1.1
    assert bright.min() >= 0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_pixels_that_are_no_numbers_are_refused(upscaler, value):
    values = np.zeros((9, 8, 3), np.float32)
    values[4, 4] = value
    with pytest.raises(errors.ImageFormatError, match="must be finite numbers"):
        upscaler.picture(Picture(values))


def test_several_jpegs_in_one_file_become_a_jpeg(upscaler, photo):
    data = io.BytesIO()
    photo.save(data, "MPO", save_all=True, append_images=[photo])
    assert Image.open(io.BytesIO(data.getvalue())).format == "MPO"
    assert Image.open(io.BytesIO(upscaler(data.getvalue()))).format == "JPEG"


def test_upscaling_is_better_than_bicubic_interpolation(upscaler):
    from sr_zoo.evaluation.metrics import psnr_y
    from sr_zoo.evaluation.resize import imresize

    with Image.open(PHOTO) as image:
        hr = np.asarray(image.crop((0, 0, 224, 148)))
    lr = imresize(hr, 1 / 4)
    assert psnr_y(upscaler(lr), hr, shave=4) > psnr_y(imresize(lr, 4), hr, shave=4) + 0.5


@pytest.mark.parametrize(("scale", "size"), [(2, (40, 48)), (3, (60, 72)), (2.5, (50, 60))])
def test_scales_below_the_networks_own_reduce_its_output(photo, scale, size):
    assert sr_zoo.upscale(np.asarray(photo), scale).shape == (*size, 3)


def test_default_weights_are_the_best_bundled_ones():
    for scale in (2, 3, 4):
        assert default_weights(scale).id == f"rlfn_s_x{scale}.sr_zoo"
    assert default_weights(2.5).scale == 3
    assert default_weights(9).scale == 4


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"scale": 8}, (16, 24)),
        ({"scale": 2.5}, (5, 8)),
        ({"scale": 1}, (2, 3)),
        ({"width": 24}, (16, 24)),
        ({"width": 7}, (5, 7)),
        ({"height": 3}, (3, 4)),
        ({"fit": (30, 10)}, (10, 15)),
        ({"fit": (2, 30)}, (1, 2)),
    ],
)
def test_any_size(options, size):
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 4)).astype(np.uint8)
    assert sr_zoo.upscale(image, model="nearest", **options).shape == (*size, 4)


def test_large_factors_run_the_network_again():
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3)).astype(np.uint8)
    network = sr_zoo.create_model("nearest", 2)
    assert np.array_equal(sr_zoo.upscale(image, 8, network), image.repeat(8, 0).repeat(8, 1))
    network = sr_zoo.create_model("nearest", 4)
    exact = sr_zoo.Upscaler(network, 16)(image)
    assert np.array_equal(exact, image.repeat(16, 0).repeat(16, 1))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        (np.zeros((2, 4, 4, 3), np.uint8), "must be .H, W. or .H, W, C."),
        (np.full((4, 4, 3), 255.0), r"must lie in \[0, 1\], got 255 to 255"),
        (np.full((4, 4, 3), np.nan), r"must lie in \[0, 1\]"),
        (np.zeros((4, 4, 3), np.int64), "uint8, uint16 or floating point"),
        (np.zeros((4, 4, 3), np.longdouble), "uint8, uint16 or floating point, not .*float"),
        (17, "Cannot upscale a int"),
        (torch.zeros(3, 4, 4).to_sparse(), r"plain tensor, .*sparse_coo; image.to_dense\(\)"),
    ],
)
def test_images_that_cannot_be_upscaled(upscaler, image, message):
    with pytest.raises(errors.ImageFormatError, match=message):
        upscaler(image)


def test_an_image_of_pillow_whose_file_is_cut_off_or_closed_gets_a_sentence(upscaler, photo):
    file = io.BytesIO()
    photo.save(file, "JPEG")
    cut = Image.open(io.BytesIO(file.getvalue()[:-20]))
    closed = Image.open(file)
    closed.close()
    for image in (cut, closed):
        with pytest.raises(errors.ImageReadError, match="given image: cannot be decoded, it is tr"):
            upscaler(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale must be a number above 0, at most 64, got 0"),
        ({"scale": float("nan")}, "scale must be a number above 0, at most 64, got nan"),
        ({"scale": 2, "width": 5}, "scale and width contradict each other; give one of them"),
        ({"scale": "espcn"}, "at most 64, got 'espcn'; a model's name goes into model="),
        ({"width": 0}, "width must be a whole number from 1 pixel on, got 0"),
        ({"height": "100"}, "height must be a whole number from 1 pixel on, got '100'"),
        ({"width": float("nan")}, "width must be a whole number from 1 pixel on, got nan"),
        ({"fit": (3, -1)}, r"fit must be a width and a height from 1 pixel on, got \(3, -1\)"),
        ({"fit": (100,)}, r"fit must be a width and a height from 1 pixel on, got \(100,\)"),
        ({"fit": 100}, "fit must be a width and a height from 1 pixel on, got 100"),
        ({"model": torch.nn.ReLU()}, "model must be a name, a file or a network .*, got a ReLU"),
        ({"scale": True}, "scale must be a number above 0, at most 64, got True"),
        ({"alpha": np.ones(2)}, r"alpha must be one of bicubic, model, got array"),
        ({"tile": np.ones(2)}, "tile must be 'auto', None or a number of pixels, got array"),
        ({"alpha": "none"}, "alpha must be one of bicubic, model, got 'none'"),
        ({"tile": -5}, "tile must be 'auto', None or a number of pixels, got -5"),
        ({"tile": True}, "tile must be 'auto', None or a number of pixels, got True"),
        ({"exact_passes": -1}, "exact_passes must be a count from 0 on, got -1"),
        ({"exact_passes": 1.5}, "exact_passes must be a count from 0 on, got 1.5"),
    ],
)
def test_options_outside_their_range(options, message):
    with pytest.raises(errors.OptionError, match=message):
        sr_zoo.Upscaler(**options)


def test_sizes_may_be_numbers_of_numpy(photo):
    whole = np.int64(8)
    upscaler = sr_zoo.Upscaler("bicubic", width=whole, tile=whole, exact_passes=np.int32(1))
    assert upscaler(photo).size == (8, 7)


def test_alpha_is_kept_straight(upscaler):
    image = Image.new("RGBA", (12, 10), (204, 0, 0, 128))
    result = np.asarray(upscaler(image))
    plain = np.asarray(upscaler(image.convert("RGB")))
    assert result.shape == (40, 48, 4)
    assert np.array_equal(result[..., :3], plain)
    assert (result[..., 3] == 128).all()


def test_colours_under_transparency_stay_unseen_in_every_kind_of_image(upscaler):
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[5:15, 5:15] = (200, 40, 40, 255)
    expected = np.asarray(upscaler(Image.fromarray(pixels)))
    np.testing.assert_array_equal(upscaler(pixels), expected)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    for image in upscaler(tensor):
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_nothing_is_trained_through_an_upscaler(upscaler):
    for channels in (1, 3, 4):
        assert not upscaler(torch.rand(1, channels, 8, 8, requires_grad=True)).requires_grad


def test_another_default_type_changes_nothing(photo):
    upscaler = sr_zoo.Upscaler("bicubic", 2, tile=8, self_ensemble=True)
    batch = torch.rand(2, 3, 20, 12)
    expected = upscaler(batch)
    torch.set_default_dtype(torch.bfloat16)
    try:
        assert torch.equal(upscaler(batch), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_output_that_no_memory_holds_is_told_in_a_sentence():
    upscaler = sr_zoo.Upscaler("nearest", 8, tile=64)
    image = torch.zeros(1, 1, 1).expand(3, 300_000, 300_000)
    with pytest.raises(errors.OutOfMemoryError, match=r"2400000x2400000 pixels takes 69120\.0 GB"):
        upscaler.tensor(image[None])


def test_the_scale_asked_for_tells_apart_weights_that_fit_several(tmp_path, photo):
    torch.save(sr_zoo.create_model("carn", 3, pretrained=False).state_dict(), tmp_path / "c.pth")
    with pytest.raises(errors.CheckpointError, match="fit 3 networks: carn x2, carn x3, carn x4"):
        sr_zoo.Upscaler(tmp_path / "c.pth")
    assert sr_zoo.Upscaler(tmp_path / "c.pth", 3).network.scale == 3


def test_an_array_with_channels_first_is_told_how_to_turn():
    with pytest.raises(errors.ImageFormatError, match=r"\(3, 8, 9\); np.moveaxis\(image, 0, -1\)"):
        sr_zoo.upscale(np.zeros((3, 8, 9), np.uint8), model="bicubic")


def test_opacity_is_enlarged_as_chosen():
    image = np.zeros((4, 4, 4), np.uint8)
    image[:, 2:, 3] = 255
    crisp = sr_zoo.Upscaler("nearest", 2, alpha="model")(image)
    assert np.array_equal(crisp[..., 3], image[..., 3].repeat(2, 0).repeat(2, 1))
    pillow = sr_zoo.Upscaler("nearest", 2, alpha="model")(Image.fromarray(image))
    assert np.array_equal(np.asarray(pillow), crisp)
    smooth = sr_zoo.Upscaler("nearest", 2)(image)
    assert len(np.unique(smooth[..., 3])) > 2


def test_dark_16_bit_grey_stays_dark_and_16_bit(upscaler):
    image = np.full((10, 12), 200, np.uint16)
    result = upscaler(image)
    assert result.dtype == np.uint16
    assert abs(int(result.mean()) - 200) < 600
