"""Images that go through strip by strip come out as in one piece."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import sr_zoo
from sr_zoo.imaging import Metadata, Picture, read_image, write_image
from sr_zoo.inference import huge
from sr_zoo.inference.files import FileOptions, upscale_files

pytest.importorskip("pyvips", reason="huge images are streamed through libvips")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(autouse=True)
def small_is_huge(monkeypatch):
    monkeypatch.setattr(huge, "STREAMED_PIXELS", 1000)
    monkeypatch.setattr(huge, "LARGEST_SIDE", 24)


@pytest.fixture
def streamed(monkeypatch):
    """How many files went through strip by strip."""
    written = []
    write = huge.Streamed.write

    def count(self, target, **options):
        written.append(target)
        write(self, target, **options)

    monkeypatch.setattr(huge.Streamed, "write", count)
    return written


def noise(height: int, width: int, channels: int, dtype: type) -> Picture:
    values = np.random.default_rng(0).random((height, width, channels))
    metadata = Metadata(icc=PROFILE if channels == 3 else None, dpi=(300.0, 300.0))
    return Picture((values * np.iinfo(dtype).max).astype(dtype), metadata=metadata)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("source", "target"), [("a.png", "b.tif"), ("a.tif", "b.png")])
def test_strips_equal_the_repeated_pixels(tmp_path, streamed, source, target, channels, dtype):
    picture = noise(70, 61, channels, dtype)
    write_image(picture, tmp_path / source)
    upscaler = sr_zoo.Upscaler("nearest", 2)
    (outcome,) = upscale_files(upscaler, [tmp_path / source], tmp_path / target)
    assert outcome.status == "done", outcome
    assert len(streamed) == 1
    large = read_image(tmp_path / target)
    np.testing.assert_array_equal(large.pixels, picture.pixels.repeat(2, 0).repeat(2, 1))
    assert large.metadata.icc == picture.metadata.icc
    assert large.metadata.dpi == pytest.approx((600, 600), abs=0.1)
    assert [path.name for path in sorted(tmp_path.iterdir())] == sorted([source, target])


@pytest.mark.parametrize("model", ["espcn", "imdn"])
def test_strips_equal_the_image_in_one_piece(tmp_path, streamed, model):
    picture = noise(60, 50, 3, np.uint8)
    write_image(picture, tmp_path / "a.png")
    network = sr_zoo.create_model(model, 2, pretrained=False)
    whole = sr_zoo.Upscaler(network, tile=24)(picture.pixels)
    upscale_files(sr_zoo.Upscaler(network, tile=24), [tmp_path / "a.png"], tmp_path / "b.tif")
    assert len(streamed) == 1
    assert np.abs(read_image(tmp_path / "b.tif").pixels.astype(int) - whole).max() <= 1


def test_strips_wrap_around_as_the_image_in_one_piece_does(tmp_path, streamed):
    picture = noise(200, 40, 3, np.uint8)
    write_image(picture, tmp_path / "a.png")
    network = sr_zoo.create_model("elan_light", 2, pretrained=False, channels=15, num_blocks=1)
    whole = sr_zoo.Upscaler(network, tile=None)(picture.pixels)
    upscale_files(sr_zoo.Upscaler(network, tile=16), [tmp_path / "a.png"], tmp_path / "b.tif")
    assert len(streamed) == 1
    assert np.abs(read_image(tmp_path / "b.tif").pixels.astype(int) - whole).max() <= 1


def test_large_outputs_are_tiled_big_tiffs(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    write_image(noise(40, 40, 3, np.uint8), tmp_path / "a.png")
    upscale_files(sr_zoo.Upscaler("nearest", 2), [tmp_path / "a.png"], tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_bigtiff
        assert file.pages.first.is_tiled


def test_what_strips_cannot_do_goes_the_usual_way(tmp_path, streamed):
    pixels = noise(40, 40, 3, np.uint8)
    write_image(Picture(pixels.pixels, pixels.pixels[..., 0].copy()), tmp_path / "clear.png")
    write_image(pixels, tmp_path / "plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels.pixels[:30]).save(tmp_path / "turned.png", exif=exif)
    upscaler = sr_zoo.Upscaler("nearest", 2)
    for source, target in (("clear", "a.tif"), ("plain", "b.jpg"), ("turned", "c.png")):
        (outcome,) = upscale_files(upscaler, [tmp_path / f"{source}.png"], tmp_path / target)
        assert outcome.status == "done", outcome
    (outcome,) = upscale_files(
        sr_zoo.Upscaler("nearest", 1.5), [tmp_path / "plain.png"], tmp_path / "d.png"
    )
    assert read_image(tmp_path / "c.png").size == (80, 60)
    assert read_image(tmp_path / "d.png").size == (60, 60)
    assert not streamed


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs pipes that have a path")
def test_a_pipe_is_read_once(tmp_path):
    write_image(noise(10, 10, 3, np.uint8), tmp_path / "a.png")
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as pipe:
        pipe.write((tmp_path / "a.png").read_bytes())
    source = Path(f"/dev/fd/{read_end}")
    (outcome,) = upscale_files(sr_zoo.Upscaler("nearest", 2), [source], tmp_path / "b.png")
    os.close(read_end)
    assert outcome.status == "done", outcome
    assert read_image(tmp_path / "b.png").size == (20, 20)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_truncated_file_ends_in_a_sentence(tmp_path, streamed, suffix):
    write_image(noise(300, 100, 3, np.uint8), tmp_path / f"a{suffix}")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.png").write_bytes(b"earlier")
    (outcome,) = upscale_files(
        sr_zoo.Upscaler("nearest", 2), [tmp_path / f"a{suffix}"], tmp_path / "b.png"
    )
    assert outcome.status == "failed"
    assert f"a{suffix}" in outcome.sentence
    assert "\n" not in outcome.sentence
    assert (tmp_path / "b.png").read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 2


def test_more_pixels_than_allowed(tmp_path, monkeypatch):
    write_image(noise(40, 40, 3, np.uint8), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    upscaler = sr_zoo.Upscaler("nearest", 2)
    (outcome,) = upscale_files(upscaler, [tmp_path / "a.png"], tmp_path / "b.png")
    assert "a.png: has too many pixels (40x40)" in outcome.sentence
    assert "--max-pixels" in outcome.sentence


def test_stripped(tmp_path):
    picture = noise(40, 40, 3, np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "maker"
    metadata = Metadata(icc=PROFILE, exif=exif.tobytes())
    write_image(Picture(picture.pixels, metadata=metadata), tmp_path / "a.png")
    for strip in (False, True):
        options = FileOptions(strip=strip)
        upscale_files(
            sr_zoo.Upscaler("nearest", 2), [tmp_path / "a.png"], tmp_path / "b.png", options
        )
        large = read_image(Path(tmp_path / "b.png"))
        assert large.metadata.icc == PROFILE
        assert (large.metadata.exif is None) == strip
