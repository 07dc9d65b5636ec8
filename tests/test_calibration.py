"""A table measured on a folder of images decides which width a patch takes."""

import numpy as np
import pytest
import torch
from PIL import Image

from sr_zoo.blocks import GradientTable
from sr_zoo.dynamic import Budget
from sr_zoo.errors import OptionError
from sr_zoo.inference.calibration import measure_gradient_table
from sr_zoo.registry import spec_of


@pytest.fixture
def network():
    torch.manual_seed(0)
    return spec_of("arm_fsrcnn").network(scale=4).eval()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number, strength in enumerate((2, 60)):
        noise = rng.normal(128, strength, (160, 256, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    Image.fromarray(noise[:40, :40]).save(tmp_path / "small.png")
    return tmp_path


def test_a_measured_table_says_what_each_width_is_off_by(network, folder):
    table = measure_gradient_table(network, folder, bins=2)
    assert isinstance(table, GradientTable)
    assert table.widths == network.table.widths
    flat, rough = table.predict(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert flat[0] > rough[0] + 10  # interpolation of noise that is thirty times as strong
    assert table.cost.tolist() == sorted(table.cost.tolist())


def test_a_network_spends_by_the_table_that_it_is_given(network, folder):
    network.table = measure_gradient_table(network, folder, bins=2)
    image = torch.rand(1, 3, 60, 60) * 0.5 + 0.25
    spent = [network.spend(image, Budget("psnr", psnr)).macs for psnr in (0.0, 99.0)]
    assert spent[0] == 0  # interpolation reaches that
    half = network.spend(image, Budget("share", 0.5))
    assert half.macs <= 0.5 * half.full_macs


def test_a_folder_without_images_is_named(network, tmp_path):
    with pytest.raises(OptionError, match="no image of 128x128 pixels"):
        measure_gradient_table(network, tmp_path)
