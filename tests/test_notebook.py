"""Pictures side by side, as plain HTML."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo import errors


def test_pictures_of_all_kinds_and_sizes_stand_side_by_side(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tensor = torch.from_numpy(pixels.repeat(2, 0).repeat(2, 1)).permute(2, 0, 1) / 255
    shown = sr_zoo.compare(tmp_path / "a.png", tensor, pixels[..., 0], Image.fromarray(pixels))
    assert {image.size for image in shown.images} == {(12, 10)}
    np.testing.assert_array_equal(np.asarray(shown.images[0]), np.asarray(shown.images[1]))
    assert shown.labels == ("1: 6x5", "2: 12x10", "3: 6x5", "4: 6x5")
    page = shown._repr_html_()
    assert page.count("<figure>") == 4
    assert page.count('type="range"') == 1
    assert not re.search(r"https?://|<script", page)
    shown.save(tmp_path / "page.html")
    assert "data:image/png;base64," in (tmp_path / "page.html").read_text()


def test_grey_in_floating_point_is_shown_as_bright_as_in_8_bits():
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    shown = sr_zoo.compare(Image.fromarray(grey), Image.fromarray(grey.astype(np.float32) / 255))
    first, second = (np.asarray(image.convert("L")) for image in shown.images)
    np.testing.assert_array_equal(first, second)


def test_a_photo_stands_upright():
    photo = Image.new("RGB", (8, 6))
    photo.getexif()[0x0112] = 6  # to be turned by 90 degrees
    assert sr_zoo.compare(photo, photo).images[0].size == (6, 8)


def test_labels_are_text():
    black = np.zeros((4, 4, 3), np.uint8)
    page = sr_zoo.compare(black, black, labels=["<b>", 'a"b']).to_html()
    assert "&lt;b&gt;" in page
    assert "a&quot;b" in page
    assert "<figure>" not in page  # two pictures: the slider shows them


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        ((np.zeros((4, 4)),), {}, errors.OptionError, "two images or more, got 1"),
        ((np.zeros((4, 4)),) * 2, {"labels": ["a"]}, errors.OptionError, "needs 2 labels"),
        ((np.zeros((4, 4)), 3), {}, errors.ImageFormatError, "Cannot show a int"),
        ((np.zeros((4, 4, 7)),) * 2, {}, errors.ImageFormatError, "channels come last"),
    ],
)
def test_what_cannot_be_compared(images, options, error, message):
    with pytest.raises(error, match=message):
        sr_zoo.compare(*images, **options)
