from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_zoo.training.recipe import Recipe

PHOTO = Path(__file__).parents[2] / "examples" / "chelsea.png"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Keep decoded images out of the user's cache; one folder does for all tests of a process."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("SR_ZOO_CACHE", str(folder))
    return folder


@pytest.fixture
def photos(tmp_path):
    """Six squares of a photo to train on, in a folder and a subfolder."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    with Image.open(PHOTO) as photo:
        for number in range(6):
            left, top = 36 * (number % 3), 72 * (number // 3)
            name = "more/c.png" if number == 5 else f"{number}.png"
            photo.crop((left, top, left + 72, top + 72)).save(folder / name)
    return folder


@pytest.fixture
def held_out(tmp_path):
    """A part of the photo that is not trained on."""
    folder = tmp_path / "held_out"
    folder.mkdir()
    with Image.open(PHOTO) as photo:
        photo.crop((148, 0, 224, 148)).save(folder / "eye.png")
    return folder


@pytest.fixture
def tiny(photos):
    """Build a recipe that learns from the photos in seconds."""

    def build(**changes: object) -> Recipe:
        recipe = Recipe.from_mapping(
            {
                "model": "rlfn_s",
                "scale": 2,
                "arguments": {"channels": 8, "hidden": 8, "num_blocks": 1, "esa_channels": 4},
                "iterations": 6,
                "log_every": 2,
                "save_every": 2,
                "data": {"train": [str(photos)], "patch_size": 32, "batch_size": 4},
            }
        )
        return recipe.changed({key.replace("__", "."): value for key, value in changes.items()})

    return build


@pytest.fixture
def noise():
    """Build a batch of uniform noise, the same for the same seed."""
    import torch

    def build(*shape: int, seed: int = 0) -> torch.Tensor:
        return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))

    return build
