"""A table measured on a folder of images decides which width a patch takes."""

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo.blocks import EdgeTable, GradientTable, PatchTable
from sr_zoo.blocks.edge_table import edge_scores
from sr_zoo.cli import main
from sr_zoo.dynamic import Budget
from sr_zoo.errors import CheckpointError, OptionError
from sr_zoo.inference.calibration import measure_edge_table, measure_gradient_table
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


@pytest.mark.parametrize("measure", [measure_edge_table, measure_gradient_table])
def test_a_folder_without_images_is_named(network, tmp_path, measure):
    with pytest.raises(OptionError, match="no image of 128x128 pixels"):
        measure(network, tmp_path)


def test_bins_of_edges_hold_their_means_and_empty_ones_their_neighbours():
    scores, psnr = torch.tensor([1.0, 2.0, 40.0]), torch.tensor([[40.0], [38.0], [20.0]])
    table = EdgeTable.fit((0,), torch.zeros(1), scores, psnr, bins=4)
    assert table.largest == 40
    assert table.psnr.tolist() == [[39.0, 39.0, 20.0, 20.0]]
    assert table.predict(torch.tensor([0.0, 7.0, 39.0, 90.0])).tolist() == [[39], [39], [20], [20]]


def test_more_edges_are_harder_in_a_measured_table(network, tmp_path):
    rng = np.random.default_rng(0)
    for strength in range(0, 100, 20):
        noise = rng.normal(128, strength, (160, 160, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{strength}.png")
    table = measure_edge_table(network, tmp_path, bins=5)
    by_interpolation = table.psnr[0].tolist()
    assert by_interpolation == sorted(by_interpolation, reverse=True)
    assert by_interpolation[0] > by_interpolation[-1] + 5


def test_an_edge_table_decides_where_the_network_spends(network, folder):
    flat, rough = torch.full((1, 3, 32, 32), 0.5), torch.rand(1, 3, 32, 32)
    scores = torch.cat([edge_scores(flat), edge_scores(rough)])
    pays = torch.tensor([[30.0, 20.0], [30.0, 20.0], [30.0, 20.0], [30.0, 30.0]])
    cost = network.table.cost
    network.table = EdgeTable(network.widths, cost, float(scores[1]), pays)  # two bins
    image = torch.cat([flat, rough], dim=-1)
    levels = network.spend(image, Budget("eta", 1.0)).maps["patches"]
    assert levels[0, 0] == 0
    assert levels[-1, -1] == 3


@pytest.mark.parametrize("measure", [measure_edge_table, measure_gradient_table])
def test_a_table_is_saved_with_the_weights(folder, tmp_path, measure):
    network = sr_zoo.create_model("arm_fsrcnn", 4, pretrained=False)
    assert network.calibration() == {}  # the authors' table is known anyway
    network.table = measure(network, folder, bins=3)
    network.save_pretrained(tmp_path / "saved")
    image = torch.rand(1, 3, 40, 40)
    for source in (tmp_path / "saved", tmp_path / "saved" / "model.safetensors"):
        again = sr_zoo.load_model(source)
        assert type(again.table) is type(network.table)
        kinds = network.table.describe(image)
        assert torch.equal(again.table.predict(kinds), network.table.predict(kinds))
    loaded = sr_zoo.create_model("arm_fsrcnn", 4, checkpoint=tmp_path / "saved/model.safetensors")
    assert loaded.calibration() == network.calibration()


def test_a_damaged_or_foreign_table_is_refused(network, folder, tmp_path):
    with pytest.raises(ValueError, match="no table of patches"):
        PatchTable.from_record({"kind": "edges", "widths": [0, 56]})
    with pytest.raises(OptionError, match=r"The table is of the widths \(0, 9\)"):
        network.table = EdgeTable((0, 9), torch.zeros(2), 1.0, torch.zeros(2, 3))
    network = sr_zoo.create_model("arm_fsrcnn", 4, pretrained=False)
    network.calibration = lambda: {"table": {"kind": "edges"}}
    network.save_pretrained(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="its calibration cannot be used"):
        sr_zoo.load_model(tmp_path / "saved")


def test_other_widths_have_no_table_until_one_is_measured(folder, tmp_path):
    network = sr_zoo.create_model("arm_fsrcnn", 4, pretrained=False, channels=16, widths=(8, 16))
    with pytest.raises(OptionError, match=r"\(8, 16\) is not known yet; .*sr-zoo calibrate"):
        sr_zoo.Upscaler(network, budget=0.5)(np.zeros((40, 40, 3), np.uint8))
    network.save_pretrained(tmp_path / "run")
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", *map(str, (tmp_path / "run", folder, "-o", tmp_path / "able"))])
    assert stop.value.code == 0
    able = sr_zoo.load_model(tmp_path / "able")
    assert able.table.widths == (0, 8, 16)
    assert sr_zoo.Upscaler(able, budget=0.5)(np.zeros((40, 40, 3), np.uint8)).shape[0] == 160


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rlfn_s_x4.sr_zoo",), "is a RLFN, which has one width"),
        (("rlfn_s_x4.sr_zoo", "--by", "edge"), "--by must be edges or gradients, got 'edge'"),
    ],
)
def test_wrong_calls_end_in_one_sentence(folder, tmp_path, capsys, arguments, message):
    model, *options = arguments
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", model, str(folder), "-o", str(tmp_path / "out"), *options])
    assert stop.value.code == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
