"""A saved network comes back as it was."""

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from torch.nn.utils import prune

import sr_zoo
from sr_zoo.errors import CheckpointError, ModelArgumentError, WeightsNotFoundError
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


def test_a_fused_network_comes_back_fused(tmp_path):
    network = sr_zoo.create_model("ecbsr_m4c16", 2, pretrained=False, fuse=True)
    network.save_pretrained(tmp_path)
    loaded = sr_zoo.load_model(tmp_path)
    assert loaded.identity == network.identity
    assert loaded.identity.fused
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert "deployed form" in (tmp_path / "README.md").read_text()


def test_a_card_states_what_its_writer_knows(tmp_path):
    network = sr_zoo.create_model("rlfn", 2, pretrained=False)
    metrics = {"Set5": {"psnr_y": 38.1, "ssim_y": 0.9611}, "Mine": {"psnr_y": 30.0}}
    network.save_pretrained(tmp_path, trained_on=("DIV2K",), metrics=metrics)
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.datasets == ["DIV2K"]
    assert data.license is None
    assert [r.metric_value for r in data.eval_results] == [38.1, 0.9611, 30.0]


@pytest.mark.parametrize("number", [np.float64, np.float32, torch.tensor])
def test_a_card_states_numbers_of_any_kind(tmp_path, number):
    network = sr_zoo.create_model("rlfn", 2, pretrained=False)
    network.save_pretrained(tmp_path, metrics={"Set5": {"psnr_y": number(38.25)}})
    (result,) = ModelCard.load(tmp_path / "README.md").data.eval_results
    assert result.metric_value == 38.25


@pytest.mark.parametrize("scores", [{"psnr_y": "good"}, {"psnr_y": None}, 38.1])
def test_a_score_that_is_no_number_is_refused_before_anything_is_written(tmp_path, scores):
    network = sr_zoo.create_model("rlfn", 2, pretrained=False)
    with pytest.raises(
        ModelArgumentError, match=r"metrics\['Set5'\]=.* is no number; it is such as"
    ):
        network.save_pretrained(tmp_path / "saved", metrics={"Set5": scores})
    assert not (tmp_path / "saved").exists()


def test_one_data_set_is_one_word(tmp_path):
    network = sr_zoo.create_model("rlfn", 2, pretrained=False)
    network.save_pretrained(tmp_path, trained_on="DIV2K")
    assert ModelCard.load(tmp_path / "README.md").data.datasets == ["DIV2K"]


def test_a_card_needs_no_psnr(tmp_path):
    network = sr_zoo.create_model("rlfn", 2, pretrained=False)
    network.save_pretrained(tmp_path, metrics={"Set5": {"ssim_y": 0.9611}})
    assert "| Set5 | - | 0.9611 |" in (tmp_path / "README.md").read_text()


def test_a_measure_that_cards_do_not_state_is_refused_before_anything_is_written(tmp_path):
    network = sr_zoo.create_model("rlfn", 2, pretrained=False)
    with pytest.raises(ModelArgumentError, match=r"states no 'psnr' of Set5; .* psnr_y, ssim_y"):
        network.save_pretrained(tmp_path / "saved", metrics={"Set5": {"psnr": 30.0}})
    assert not (tmp_path / "saved").exists()


def test_interpolation_comes_back_though_it_has_no_weights(tmp_path):
    network = sr_zoo.create_model("bicubic", 3)
    network.save_pretrained(tmp_path)
    assert sr_zoo.load_model(tmp_path).identity == network.identity


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"holds no model\.safetensors"):
        sr_zoo.load_model(tmp_path)


def test_a_folder_with_weights_in_several_files_is_refused(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"in several files.*one model\.safetensors\."):
        sr_zoo.load_model(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
        torch.nn.utils.weight_norm,
        torch.nn.utils.spectral_norm,
        torch.nn.utils.parametrizations.weight_norm,
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_pruned_and_normalised_networks_are_saved_as_they_run(tmp_path, change):
    network = sr_zoo.create_model("rlfn_s", 4, pretrained=False)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            change(layer)
    x = torch.rand(1, 3, 8, 8)
    network.train()(x)  # until its first step, spectral_norm divides by a guess that may be near 0
    expected = network.eval()(x).detach()
    network.save_pretrained(tmp_path / "small")
    with torch.no_grad():
        torch.testing.assert_close(sr_zoo.load_model(tmp_path / "small")(x), expected)
    assert "head.weight" not in network.state_dict()  # which goes on as it was


def test_a_network_that_does_not_know_its_arguments_is_not_saved(tmp_path):
    with pytest.raises(ModelArgumentError, match=r"sr_zoo\.create_model"):
        RLFN(scale=2).save_pretrained(tmp_path)
