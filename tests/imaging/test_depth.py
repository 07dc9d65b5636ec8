"""Bit depth is decided by type: files by writers other than ours keep all their bits."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from sr_zoo.errors import ImageReadError
from sr_zoo.imaging import Picture, read_image
from sr_zoo.imaging.formats import BY_NAME
from sr_zoo.imaging.write import encode_image

RNG = np.random.default_rng(0)
SIZE = (9, 13)


def samples(channels: int, high: int = 65536) -> np.ndarray:
    return RNG.integers(0, high, (*SIZE, channels)).astype(np.uint16)


def png(*parts: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these chunks."""
    file = b"\x89PNG\r\n\x1a\n"
    for kind, content in (*parts, (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        file += struct.pack(">I", len(content)) + kind + content + checksum
    return file


def header(size: tuple[int, int], bits: int, color_type: int, interlaced: int = 0) -> bytes:
    return struct.pack(">IIBBBBB", size[1], size[0], bits, color_type, 0, 0, interlaced)


def plain_png(pixels: np.ndarray, color_type: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG file of 16 bits, unfiltered."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    start = header(pixels.shape[:2], 16, color_type)
    return png((b"IHDR", start), *extra, (b"IDAT", zlib.compress(rows)))


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize(("channels", "color_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_png(channels: int, color_type: int) -> None:
    values = samples(channels)
    picture = read_image(plain_png(values, color_type))
    colors = 1 if channels < 3 else 3
    np.testing.assert_array_equal(picture.pixels, values[..., :colors])
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha, values[..., -1])
    else:
        assert picture.alpha is None


def test_png_with_a_transparent_colour_of_16_bits() -> None:
    values = samples(3)
    values[0, 1] = values[0, 0] ^ 1  # the same in 8 bits
    picture = read_image(plain_png(values, 2, (b"tRNS", values[0, 0].astype(">u2").tobytes())))
    assert picture.alpha is not None
    assert picture.alpha[0, 0] == 0
    assert (picture.alpha == 0).sum() == 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_with_a_transparent_grey_of_few_bits(bits: int) -> None:
    largest = 2**bits - 1
    data = png(
        (b"IHDR", header((1, 8 // bits), bits, 0)),
        (b"tRNS", struct.pack(">H", largest)),
        (b"IDAT", zlib.compress(b"\0\x0f")),
    )
    picture = read_image(data)
    assert picture.is_grey
    half = 4 // bits
    np.testing.assert_array_equal(picture.pixels.ravel(), [0] * half + [255] * half)
    np.testing.assert_array_equal(picture.alpha.ravel(), [255] * half + [0] * half)  # type: ignore[union-attr]


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff(byteorder: str, compression: str | None, planes: str, channels: int) -> None:
    values = samples(channels)
    data = tiff(
        values if planes == "contig" else np.moveaxis(values, 2, 0),
        byteorder=byteorder,
        compression=compression,
        planarconfig=planes,
        photometric="rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
    )
    picture = read_image(data)
    np.testing.assert_array_equal(picture.pixels, values[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, values[..., 3])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_our_tiffs_come_back_and_others_read_them(
    dtype: type, has_alpha: bool, channels: int
) -> None:
    values = samples(channels + has_alpha).astype(dtype)
    alpha = values[..., channels].copy() if has_alpha else None
    picture = Picture(values[..., :channels].copy(), alpha)
    data = encode_image(picture, BY_NAME["TIFF"])
    again = read_image(data)
    assert again.pixels.dtype == dtype
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    if has_alpha:
        np.testing.assert_array_equal(again.alpha, alpha)
    read = tifffile.imread(io.BytesIO(data))
    np.testing.assert_array_equal(read.reshape(values.shape), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_premultiplied_tiff_becomes_straight(dtype: type) -> None:
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    stored = np.array([[[0.4, 0, 0, 0.5], [0, 0, 0, 0]]]) * white
    data = tiff(
        np.round(stored).astype(dtype) if white > 1 else stored.astype(dtype),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    picture = read_image(data)
    np.testing.assert_allclose(picture.to_rgb()[0, 0], [0.8, 0, 0], atol=0.005)
    assert picture.to_alpha()[0, 0] == pytest.approx(0.5, abs=0.005)  # type: ignore[index]


def test_tiff_whose_zero_is_white() -> None:
    values = samples(1)[..., 0]
    picture = read_image(tiff(values, photometric="miniswhite"))
    np.testing.assert_array_equal(picture.pixels[..., 0], 65535 - values)


def test_tiff_of_integers_without_a_white_is_refused() -> None:
    data = tiff(np.zeros((4, 4, 3), np.uint32), photometric="rgb")
    with pytest.raises(ImageReadError, match="32-bit integers"):
        read_image(data)
    for dtype in (np.int16, np.int32, np.uint32):
        grey = tiff(np.zeros((4, 4), dtype), photometric="minisblack")
        with pytest.raises(ImageReadError, match="image: images of mode 'I' are not supported"):
            read_image(grey)


@pytest.mark.parametrize("order", ["<", ">"])
def test_files_beyond_four_gigabytes_are_read_by_their_own_layout(order: str) -> None:
    pixels = RNG.random((*SIZE, 3), dtype=np.float32)
    options = {"photometric": "rgb", "bigtiff": True, "byteorder": order}
    picture = read_image(
        tiff(pixels, resolution=(300, 300), description="dunes", metadata=None, **options)
    )
    np.testing.assert_array_equal(picture.pixels, pixels)
    if order == "<":  # Pillow knows no other directories of this kind
        exif = Image.Exif()
        exif.load(picture.metadata.exif or b"")
        assert (picture.metadata.dpi, exif[270]) == ((300, 300), "dunes")


def test_without_tifffile_a_sentence_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff(np.zeros((4, 4, 3), np.float32), photometric="rgb")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageReadError, match=r"pip install 'sr_zoo\[tiff\]'"):
        read_image(data)


@pytest.mark.parametrize("white", [65535, 1023])
@pytest.mark.parametrize("channels", [1, 3])
def test_pnm(white: int, channels: int) -> None:
    values = samples(channels, white + 1)
    start = f"P{5 if channels == 1 else 6}\n# made by hand\n13 9\n{white}\n".encode()
    data = start + values.astype(">u2").tobytes()
    picture = read_image(data)
    np.testing.assert_array_equal(picture.pixels, np.rint(values * (65535 / white)))
    with pytest.raises(ImageReadError, match="truncated"):
        read_image(data[:-1])


def test_interlaced_png() -> None:
    """Seven passes, each filtered by itself; Pillow cannot write them, so this one is constant."""
    pixel = np.array([513, 40000, 65534], ">u2").tobytes()
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    passes.append((1, 0, 2, 1))
    raw = b"".join(
        b"\0" + pixel * len(range(left, 5, across))
        for top, left, down, across in passes
        for _ in range(top, 6, down)
        if len(range(left, 5, across))
    )
    data = png((b"IHDR", header((6, 5), 16, 2, interlaced=1)), (b"IDAT", zlib.compress(raw)))
    picture = read_image(data)
    assert (picture.pixels == [513, 40000, 65534]).all()
    assert picture.size == (6, 5)


def test_8_bit_stays_8_bit() -> None:
    file = io.BytesIO()
    Image.fromarray(samples(3, 2).astype(np.uint8)).save(file, "PNG")
    assert read_image(file.getvalue()).pixels.dtype == np.uint8
