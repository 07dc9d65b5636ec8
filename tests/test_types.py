"""What type checkers make of users' code: mypy reads this file along with the package."""

from io import BytesIO
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import sr_zoo

PHOTO = Path(__file__).parents[1] / "examples" / "chelsea.png"


@pytest.fixture(scope="module")
def upscaler() -> sr_zoo.Upscaler:
    return sr_zoo.Upscaler("nearest", 2)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    with Image.open(PHOTO) as image:
        return image.crop((0, 0, 20, 16))


def test_a_path_gives_a_picture(upscaler: sr_zoo.Upscaler, tmp_path: Path) -> None:
    sr_zoo.upscale(str(PHOTO), 2, "nearest").save(tmp_path / "big.png")
    assert isinstance(assert_type(upscaler(PHOTO), Image.Image), Image.Image)


def test_a_picture_gives_a_picture(upscaler: sr_zoo.Upscaler, picture: Image.Image) -> None:
    big = assert_type(sr_zoo.upscale(picture, 2, "nearest"), Image.Image)
    assert assert_type(upscaler(picture), Image.Image).size == big.size == (40, 32)
    with Image.open(PHOTO) as file:  # of a subclass, which the result is not
        assert type(assert_type(upscaler(file), Image.Image)) is Image.Image


def test_bytes_give_bytes(upscaler: sr_zoo.Upscaler, picture: Image.Image) -> None:
    file = BytesIO()
    picture.save(file, "PNG")
    assert isinstance(assert_type(upscaler(file.getvalue()), bytes), bytes)
    assert isinstance(assert_type(sr_zoo.upscale(file.getvalue(), 2, "nearest"), bytes), bytes)


def test_an_array_gives_an_array_of_its_type(
    upscaler: sr_zoo.Upscaler, picture: Image.Image
) -> None:
    small: NDArray[np.uint8] = np.asarray(picture, np.uint8)
    big = assert_type(sr_zoo.upscale(small, 2, "nearest"), NDArray[np.uint8])
    assert big.dtype == np.uint8
    fine = (small / 255).astype(np.float64)
    assert assert_type(upscaler(fine), NDArray[np.float64]).dtype == np.float64


def test_a_tensor_gives_a_tensor(upscaler: sr_zoo.Upscaler) -> None:
    small = torch.rand(3, 8, 8)
    big = assert_type(sr_zoo.upscale(small, 2, "nearest"), torch.Tensor)
    assert assert_type(upscaler(small), torch.Tensor).shape == big.shape


def test_what_may_be_of_several_kinds(upscaler: sr_zoo.Upscaler) -> None:
    kinds: list[Path | NDArray[Any]] = [PHOTO, np.zeros((4, 4, 3), np.uint8)]
    for image in kinds:
        big = assert_type(upscaler(image), Image.Image | NDArray[Any])
        assert type(big) in (Image.Image, np.ndarray)
