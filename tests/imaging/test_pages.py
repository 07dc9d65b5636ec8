"""TIFF files of several pages: none is lost."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

import sr_zoo
from sr_zoo.errors import ImageReadError, ImageWriteError
from sr_zoo.imaging import Metadata, Picture, encode_image, read_image, tiff
from sr_zoo.imaging.formats import BY_NAME
from sr_zoo.imaging.pages import encode_pages, read_pages
from sr_zoo.inference.files import FileOptions, upscale_files


def noise(height: int, width: int, channels: int, dtype: type, alpha: bool = False) -> Picture:
    values = np.random.default_rng(height).random((height, width, channels + 1))
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    samples = (values * white).astype(dtype)
    opacity = np.ascontiguousarray(samples[..., -1]) if alpha else None
    return Picture(np.ascontiguousarray(samples[..., :-1]), opacity, Metadata(dpi=(300.0, 300.0)))


PAGES = [
    noise(5, 7, 3, np.uint8),
    noise(6, 4, 3, np.uint16),
    noise(3, 3, 1, np.uint8),
    noise(9, 2, 1, np.uint16, alpha=True),
    noise(4, 4, 3, np.float32),
]


def assert_doubled(large: Picture, small: Picture) -> None:
    assert large.pixels.dtype == small.pixels.dtype
    np.testing.assert_array_equal(large.pixels, small.pixels.repeat(2, 0).repeat(2, 1))
    assert (large.alpha is None) == (small.alpha is None)
    assert large.metadata.dpi == pytest.approx((600, 600))


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "document.tif"
    path.write_bytes(encode_pages(PAGES))
    return path


def test_every_page_is_upscaled_at_its_own_depth(document, tmp_path):
    target = tmp_path / "out" / "large.tiff"
    (outcome,) = upscale_files(sr_zoo.Upscaler("nearest", 2), [document], target)
    assert outcome.status == "done", outcome
    large = read_pages(target)
    assert large.num_pages == len(PAGES)
    for enlarged, page in zip(large.pictures, PAGES, strict=True):
        assert_doubled(enlarged, page)
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffFile(target) as file:
        assert len(file.pages) == len(PAGES)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_pages_of_other_writers(order, big):
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    pages = np.random.default_rng(0).integers(0, 65536, (3, 6, 5, 3)).astype(np.uint16)
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=order) as writer:
        for page in pages:
            writer.write(page, photometric="rgb")
            writer.write(page[::2, ::2], photometric="rgb", subfiletype=1)  # a thumbnail
    read = read_pages(file.getvalue())
    assert read.num_pages == 3
    for picture, page in zip(read.pictures, pages, strict=True):
        np.testing.assert_array_equal(picture.pixels, page)


def test_pages_of_pillow():
    file = io.BytesIO()
    bilevel = [Image.fromarray(np.eye(n) > 0) for n in (5, 9)]
    bilevel[0].save(
        file, "TIFF", save_all=True, append_images=bilevel[1:], compression="group4", dpi=(200, 200)
    )
    read = read_pages(file.getvalue())
    assert [page.size for page in read.pictures] == [(5, 5), (9, 9)]


def test_one_page_is_a_picture(tmp_path):
    assert read_pages(encode_image(PAGES[0], BY_NAME["TIFF"])) is None
    assert read_pages(encode_image(PAGES[0], BY_NAME["PNG"])) is None


def test_formats_of_one_page_refuse_several(document, tmp_path):
    options = FileOptions(format="png")
    (outcome,) = upscale_files(sr_zoo.Upscaler("nearest", 2), [document], tmp_path / "out", options)
    assert outcome.status == "failed"
    assert "PNG holds one page, this file has 5; write TIFF instead" in outcome.sentence


def test_metadata_is_left_out_of_every_page():
    exif = Image.Exif()
    exif[0x010F] = "maker"
    pages = [Picture(page.pixels, metadata=Metadata(exif=exif.tobytes())) for page in PAGES[:2]]
    for strip in (False, True):
        for page in read_pages(encode_pages(pages, strip=strip)).pictures:
            assert (page.metadata.exif is None) == strip


def linked_to(data: bytes, offset: int) -> bytes:
    """Return a TIFF file whose second page is said to be elsewhere."""
    (first,) = struct.unpack("<L", data[4:8])
    (entries,) = struct.unpack_from("<H", data, first)
    link = first + 2 + 12 * entries
    return data[:link] + struct.pack("<L", offset) + data[link + 4 :]


def test_directories_in_a_circle_end(document):
    data = document.read_bytes()
    assert read_pages(linked_to(data, struct.unpack("<L", data[4:8])[0])) is None


def test_a_damaged_page_is_named(document, tmp_path):
    data = document.read_bytes()
    beyond = linked_to(data, len(data) + 10)
    for damaged, page in ((data[:-300] + bytes(300), 5), (data[:-300], 5), (beyond, 2)):
        document.write_bytes(damaged)
        with pytest.raises(ImageReadError, match=rf"document\.tif, page {page}: "):
            list(read_pages(document).pictures)
    (outcome,) = upscale_files(sr_zoo.Upscaler("nearest", 2), [document], tmp_path / "b.tif")
    assert outcome.status == "failed"
    assert not (tmp_path / "b.tif").exists()


def test_what_no_tiff_can_hold(monkeypatch):
    with pytest.raises(ImageWriteError, match="needs at least one page"):
        encode_pages([])
    monkeypatch.setattr(tiff, "MAX_OFFSET", 500)
    with pytest.raises(ImageWriteError, match="at most 4 GB"):
        encode_pages(PAGES)
    assert read_image(encode_image(PAGES[2], BY_NAME["TIFF"])).size == (3, 3)
