"""Reading and writing files: what went in comes out."""

import io
import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

from sr_zoo.errors import ImageFormatError, ImageReadError, ImageWriteError, OptionError
from sr_zoo.imaging import Metadata, Picture, from_pil, read_image, to_pil, write_image
from sr_zoo.imaging.animation import Frame, encode_frames, read_frames

RNG = np.random.default_rng(0)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# its two primaries under each other's name
RED_IS_BLUE = SRGB.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")
CHANNELS = {"grey": (1, False), "grey_alpha": (1, True), "rgb": (3, False), "rgba": (3, True)}


def random_picture(channels: str, dtype: str, size: tuple[int, int] = (7, 13)) -> Picture:
    depth, has_alpha = CHANNELS[channels]
    values = RNG.random((*size, depth + has_alpha), np.float32)
    if dtype != "float32":
        values = (values * np.iinfo(dtype).max).astype(dtype)
    return Picture(values[..., :depth], values[..., depth] if has_alpha else None)


def assert_same(actual: Picture, expected: Picture) -> None:
    assert actual.pixels.dtype == expected.pixels.dtype
    np.testing.assert_array_equal(actual.pixels, expected.pixels)
    if expected.alpha is None:
        assert actual.alpha is None
    else:
        np.testing.assert_array_equal(actual.alpha, expected.alpha)


@pytest.mark.parametrize(
    ("suffix", "channels", "dtype"),
    [
        *itertools.product([".png"], CHANNELS, ["uint8", "uint16"]),
        *itertools.product([".tif"], CHANNELS, ["uint8"]),
        (".tif", "grey", "uint16"),
        (".tif", "rgb", "uint16"),
        (".tif", "rgba", "uint16"),
        (".tif", "grey", "float32"),
        (".bmp", "grey", "uint8"),
        (".bmp", "rgb", "uint8"),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (130, 3)])
def test_lossless_round_trip(
    tmp_path: Path, suffix: str, channels: str, dtype: str, size: tuple[int, int]
) -> None:
    picture = random_picture(channels, dtype, size)
    write_image(picture, tmp_path / f"a{suffix}")
    assert_same(read_image(tmp_path / f"a{suffix}"), picture)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_pil_modes_keep_their_kind(mode: str) -> None:
    rgba = Image.fromarray(RNG.integers(0, 256, (5, 4, 4), np.uint8))
    image = (
        Image.fromarray(np.arange(20, dtype=np.uint16).reshape(5, 4))
        if mode == "I;16"
        else (
            rgba.convert("RGB").convert(mode) if mode not in ("RGBA", "LA") else rgba.convert(mode)
        )
    )
    picture = from_pil(image)
    grey = mode in ("1", "L", "LA", "I;16", "F")
    assert picture.pixels.shape == (5, 4, 1 if grey else 3)
    assert picture.pixels.dtype == {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))
    target = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}.get(mode, mode)
    back = to_pil(picture)
    assert back.mode == target
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image.convert(target)))


def test_dark_16_bit_stays_16_bit(tmp_path: Path) -> None:
    dark = Picture(RNG.integers(0, 256, (6, 6, 3)).astype(np.uint16))
    write_image(dark, tmp_path / "dark.png")
    assert_same(read_image(tmp_path / "dark.png"), dark)
    assert dark.to_rgb().max() < 256 / 65535


def test_straight_colour_stays_under_half_opacity() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[..., 0] = 204  # 0.8
    picture = Picture(pixels, np.full((4, 4), 128, np.uint8))
    again = picture.with_rgb(picture.to_rgb(), picture.to_alpha())
    assert_same(again, picture)


def test_palette_with_transparency_and_transparent_colour() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=1)
    picture = read_image(file.getvalue())
    np.testing.assert_array_equal(picture.pixels, [[[10, 20, 30], [40, 50, 60]]])
    np.testing.assert_array_equal(picture.alpha, [[255, 0]])
    file = io.BytesIO()
    Image.fromarray(np.array([[3, 9]], np.uint8)).save(file, "PNG", transparency=9)
    picture = read_image(file.getvalue())
    assert picture.is_grey
    np.testing.assert_array_equal(picture.alpha, [[255, 0]])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:4, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x0110] = "camera"
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(pixels).save(source, exif=exif)
    with Image.open(source) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    picture = read_image(source)
    np.testing.assert_array_equal(picture.pixels, expected)
    write_image(picture, target)
    with Image.open(target) as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.getexif()[0x0110] == "camera"
        assert image.size == picture.size[::-1]


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_thumbnail_is_not_left_lying_on_its_side(orientation: int) -> None:
    """Viewers turn it by the orientation of the whole picture, which is reset."""
    thumbnail = b"small picture"
    second = 8 + 2 + 12 + 4
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1)
    exif += struct.pack("<HHIHHI", 0x0112, 3, 1, orientation, 0, second)
    exif += struct.pack("<HHHII", 2, 0x0201, 4, 1, second + 2 + 24 + 4)
    exif += struct.pack("<HHIII", 0x0202, 4, 1, len(thumbnail), 0) + thumbnail
    file = io.BytesIO()
    Image.new("RGB", (16, 8)).save(file, "JPEG", exif=exif)
    kept = Image.Exif()
    kept.load(read_image(file.getvalue()).metadata.exif)
    assert kept[0x0112] == 1
    assert bool(kept.get_ifd(ExifTags.IFD.IFD1)) == (orientation == 1)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_resolution_of_a_tiff_turns_with_it(orientation: int, dtype: str) -> None:
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.zeros((8, 16, 3), dtype),
        photometric="rgb",
        resolution=(300, 150),
        resolutionunit="INCH",
        extratags=[(0x0112, "H", 1, orientation, True)],
    )
    picture = read_image(file.getvalue())
    assert picture.size == ((8, 16) if orientation < 5 else (16, 8))
    assert picture.metadata.dpi == ((300, 150) if orientation < 5 else (150, 300))


def test_resolutions_that_share_a_number_grow_once() -> None:
    # both entries, of the type 5, point to the number after them
    entries = b"".join(struct.pack("<HHII", tag, 5, 1, 38) for tag in (0x011A, 0x011B))
    exif = struct.pack("<2sHIH", b"II", 42, 8, 2) + entries + bytes(4) + struct.pack("<II", 72, 1)
    larger = Metadata(exif=exif).resized((5, 5), (10, 10)).exif
    assert larger == exif[:38] + struct.pack("<II", 144, 1)


@pytest.mark.parametrize("source", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("target", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_exif_goes_from_any_format_into_any_other(tmp_path: Path, source: str, target: str) -> None:
    exif = Image.Exif()
    exif[0x0110] = "camera"
    Image.new("RGB", (8, 8)).save(tmp_path / f"a{source}", exif=exif)
    write_image(read_image(tmp_path / f"a{source}"), tmp_path / f"b{target}")
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.getexif()[0x0110] == "camera"


def test_a_resolution_that_a_format_cannot_state_is_left_out(tmp_path: Path) -> None:
    picture = Picture(np.zeros((4, 4, 3), np.uint8), None, Metadata(dpi=(20000, 20000)))
    larger = picture.with_rgb(np.zeros((16, 16, 3), np.float32), None)
    write_image(larger, tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").metadata.dpi is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_metadata_survives_and_dpi_scales(tmp_path: Path, suffix: str, dtype: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif[0x011A] = 150.0
    exif.get_ifd(0x8769)[0xA002] = 13
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    plain = random_picture("rgb", dtype)
    metadata = Metadata(icc=SRGB, exif=exif.tobytes(), xmp=xmp, dpi=(150.0, 75.0))
    picture = Picture(plain.pixels, None, metadata)
    larger = picture.with_rgb(np.repeat(np.repeat(picture.to_rgb(), 2, 0), 2, 1), None)
    write_image(larger, tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}").metadata
    assert read.icc == SRGB
    assert read.xmp == xmp
    if suffix in (".png", ".jpg", ".tif"):
        assert read.dpi == pytest.approx((300, 150), abs=0.02)
    with Image.open(tmp_path / f"a{suffix}") as image:
        tags = image.getexif()
        assert tags[0x010F] == "maker"
        assert tags[0x011A] == pytest.approx(300, abs=0.02)
        assert tags.get_ifd(0x8769)[0xA002] == 26
    write_image(larger, tmp_path / f"b{suffix}", strip=True)
    stripped = read_image(tmp_path / f"b{suffix}").metadata
    assert (stripped.exif, stripped.xmp, stripped.icc) == (None, None, SRGB)


@pytest.mark.parametrize("suffix", [".bmp", ".gif"])
def test_colours_stay_where_a_format_holds_no_profile(tmp_path: Path, suffix: str) -> None:
    pixels = np.tile(np.array([[[200, 90, 10]]], np.uint8), (4, 5, 1))
    picture = Picture(pixels, metadata=Metadata(icc=RED_IS_BLUE))
    write_image(picture, tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}")
    assert read.metadata.icc is None
    np.testing.assert_array_equal(read.pixels, pixels[..., ::-1])
    write_image(picture, tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").pixels, pixels)


def test_colours_stay_in_an_animation_without_a_profile() -> None:
    colors = (200, 90, 10), (30, 90, 140)
    frames = [
        Frame(Picture(np.full((4, 5, 3), color, np.uint8), metadata=Metadata(icc=RED_IS_BLUE)), 40)
        for color in colors
    ]
    animation = read_frames(encode_frames(frames, "a.gif"))
    assert animation is not None
    shown = [tuple(frame.picture.pixels[0, 0]) for frame in animation.frames]
    assert shown == [color[::-1] for color in colors]


def test_transparency_is_never_dropped_silently(tmp_path: Path) -> None:
    picture = random_picture("rgba", "uint8")
    with pytest.raises(ImageWriteError, match=r"a\.jpg.*JPEG cannot hold the transparency"):
        write_image(picture, tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())
    opaque = Picture(picture.pixels, np.full((7, 13), 255, np.uint8))
    write_image(opaque, tmp_path / "a.jpg")
    write_image(picture.without_alpha(), tmp_path / "b.jpg")


def test_deeper_pixels_are_rounded_to_what_a_format_holds(tmp_path: Path) -> None:
    grey = Picture(np.array([[[0], [128], [129], [65535]]], np.uint16))
    write_image(grey, tmp_path / "a.bmp")
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp").pixels.ravel(), [0, 0, 1, 255])
    write_image(Picture(np.array([[[0.5], [2.0]]], np.float32)), tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels.ravel(), [32768, 65535])


def test_bad_sources_get_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello, I am no image\n")
    (tmp_path / "empty.png").write_bytes(b"")
    write_image(random_picture("rgb", "uint8", (64, 64)), tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    (tmp_path / "flipped.png").write_bytes(flipped)
    expected = {
        "missing.png": "no such file",
        "text.png": "looks like text",
        "empty.png": "is empty",
        "cut.png": "truncated",
        "flipped.png": "checksum",
        ".": "is a folder",
    }
    for name, reason in expected.items():
        with pytest.raises(ImageReadError, match=reason) as caught:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_path_with_a_null_byte_is_no_file() -> None:
    with pytest.raises(ImageReadError, match=r"'a\\x00.png': is no path of a file"):
        read_image("a\0.png")


def test_decompression_bomb() -> None:
    with pytest.raises(ImageReadError, match="too many pixels"):
        read_image(bomb())


def bomb() -> bytes:
    file = io.BytesIO()
    Image.new("1", (30000, 30000)).save(file, "PNG")
    return file.getvalue()


def test_bad_targets_get_one_sentence_and_change_nothing(tmp_path: Path) -> None:
    picture = random_picture("rgb", "uint8")
    target = tmp_path / "out.png"
    target.write_bytes(b"earlier")
    with pytest.raises(ImageWriteError, match="does not exist"):
        write_image(picture, tmp_path / "nowhere" / "a.png")
    with pytest.raises(ImageWriteError, match="no image format known"):
        write_image(picture, tmp_path / "a.xyz")
    with pytest.raises(ImageWriteError, match=r"has no ending"):
        write_image(picture, tmp_path / "a")
    with pytest.raises(ImageWriteError, match="Did you mean 'webp'"):
        write_image(picture, target, format="wepb")
    for quality in (0, 101, 50.5, True, "high"):
        with pytest.raises(OptionError, match=f"whole number from 1 to 100, got {quality!r}"):
            write_image(picture, target, quality=quality)
    with pytest.raises(ImageWriteError, match="is a folder"):
        write_image(picture, tmp_path, format="png")
    wide = Picture(np.zeros((1, 20000, 3), np.uint8))
    with pytest.raises(ImageWriteError, match="at most 16383"):
        write_image(wide, tmp_path / "a.webp")
    assert target.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"earlier")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImageWriteError, match=r"out\.png: .*No space left"):
        write_image(random_picture("rgb", "uint8"), target)
    assert target.read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 1


def test_impossible_pictures_are_refused() -> None:
    with pytest.raises(ImageFormatError, match="int64"):
        Picture(np.zeros((2, 2, 3), np.int64))
    with pytest.raises(ImageFormatError, match="shape"):
        Picture(np.zeros((2, 2, 4), np.uint8))
    with pytest.raises(ImageFormatError, match="alpha"):
        Picture(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ImageFormatError, match="expected an alpha"):
        random_picture("rgba", "uint8").with_rgb(np.zeros((7, 13, 3)), None)
    with pytest.raises(ImageFormatError, match="mode 'I'"):
        from_pil(Image.new("I", (2, 2)))
