"""A saved network comes back as it was."""

import pytest
import torch

import sr_zoo
from sr_zoo.errors import ModelArgumentError, WeightsNotFoundError
from sr_zoo.models.rlfn import RLFN


def test_a_saved_network_comes_back(tmp_path):
    network = sr_zoo.create_model("seemore_t", 2, pretrained=False, num_groups=1, context_depth=1)
    network.save_pretrained(tmp_path / "saved", license="Apache-2.0")
    loaded = sr_zoo.load_model(tmp_path / "saved")
    assert loaded.identity == network.identity
    x = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "library_name: sr_zoo" in card
    assert "license: apache-2.0" in card


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"holds no model\.safetensors"):
        sr_zoo.load_model(tmp_path)


def test_a_network_that_does_not_know_its_arguments_is_not_saved(tmp_path):
    with pytest.raises(ModelArgumentError, match=r"sr_zoo\.create_model"):
        RLFN(scale=2).save_pretrained(tmp_path)
