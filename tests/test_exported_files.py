"""Exported files upscale images as the networks do that they were made of."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
import sr_zoo.registry
from sr_zoo.cli import main
from sr_zoo.errors import CheckpointError, ExportError, OptionError
from sr_zoo.export import export_model, facts
from sr_zoo.export.exporting import FORMATS
from sr_zoo.export.facts import facts_of
from sr_zoo.inference.networks import Locality
from sr_zoo.inference.runtimes.exported import ENGINES


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return sr_zoo.create_model("fsrcnn", 2, pretrained=False)


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return export_model(network, folder / "small.onnx", to="onnx", sizes=()).path


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (41, 53, 3), np.uint8)


def test_every_format_has_an_engine():
    from importlib import import_module

    assert set(ENGINES) == {import_module(module).SUFFIX for module in FORMATS.values()}


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("tile", ["auto", 16])
def test_a_file_gives_the_pictures_of_its_network(network, picture, tmp_path, to, tile):
    suffix = next(s for s, engine in ENGINES.items() if to in engine or s == f".{to}")
    path = export_model(network, tmp_path / f"small{suffix}", to=to, sizes=()).path
    upscaler = sr_zoo.Upscaler(path, tile=tile)
    expected = sr_zoo.Upscaler(network, tile=None)(picture)
    assert np.abs(upscaler(picture).astype(int) - expected.astype(int)).max() <= 1
    assert upscaler.runtime_reason == f"{ENGINES[suffix]} in float32: it runs such files"
    sent = pickle.loads(pickle.dumps(upscaler))  # as to another process
    np.testing.assert_array_equal(sent(picture), upscaler(picture))


def test_the_command_line_tiles_a_file_without_a_seam(file, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "in.png")
    arguments = ["upscale", str(tmp_path / "in.png"), "--model", str(file)]
    for name, tile in (("whole.png", "off"), ("tiles.png", "16")):
        with pytest.raises(SystemExit, match="0"):
            main([*arguments, "-o", str(tmp_path / name), "--tile", tile])
    with Image.open(tmp_path / "whole.png") as whole, Image.open(tmp_path / "tiles.png") as tiles:
        assert whole.size == (106, 82)
        assert np.abs(np.asarray(whole, int) - np.asarray(tiles, int)).max() <= 1


# few blocks: one averages over the whole image, one resizes a pooled map back to its size
@pytest.mark.parametrize(
    ("name", "narrow"),
    [
        ("seemore_t", {"num_groups": 1, "channels": 4}),
        ("rlfn", {"num_blocks": 1, "channels": 4, "hidden": 4, "esa_channels": 2}),
    ],
)
def test_what_a_tile_cannot_know_is_said(name, narrow, picture, tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = sr_zoo.create_model(name, 4, pretrained=False, **narrow)
    grid = sr_zoo.registry.spec_of(name).grid
    # measuring how far a network of other widths sees takes long
    monkeypatch.setattr(facts, "locality", lambda network: Locality(48, grid, name == "seemore_t"))
    path = export_model(network, tmp_path / "file.onnx", to="onnx", sizes=()).path
    expected = sr_zoo.Upscaler(network, tile=None)(picture)
    assert np.abs(sr_zoo.Upscaler(path)(picture).astype(int) - expected.astype(int)).max() <= 1
    with pytest.warns(RuntimeWarning, match="since onnxruntime takes each tile for a whole image"):
        sr_zoo.Upscaler(path, tile=32)(picture)


def test_a_file_says_whether_its_tiles_are_exact():
    for name, local in (("mobilesr", True), ("rlfn_s", False), ("imdn", False)):
        assert facts_of(sr_zoo.create_model(name, 4, pretrained=False)).local == local, name


def test_after_files_are_closed_a_signal_is_answered(network, tmp_path):
    pytest.importorskip("openvino")
    path = export_model(network, tmp_path / "small.xml", to="openvino", sizes=()).path
    code = (
        "import signal, sys\nfrom sr_zoo import Upscaler\n"
        "signal.signal(signal.SIGINT, lambda *_: print('answered'))\n"
        "first = Upscaler(sys.argv[1])\nsecond = Upscaler(sys.argv[1])\ndel first\ndel second\n"
        "signal.raise_signal(signal.SIGINT)"
    )
    command = [sys.executable, "-c", code, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "answered\n"


def test_a_resumed_run_notices_another_file(network, file, tmp_path):
    from sr_zoo.inference.files import settings_of

    other = sr_zoo.create_model("fsrcnn", 2, pretrained=False)
    another = export_model(other, tmp_path / "small.onnx", to="onnx", sizes=()).path
    first, second = (settings_of(sr_zoo.Upscaler(path), {}) for path in (file, another))
    assert first["weights"] != second["weights"]
    assert first["model"] == "ExportedNetwork"


def test_what_a_file_cannot_do_is_refused(file, tmp_path):
    with pytest.raises(OptionError, match=r"small\.onnx is run by onnxruntime, not by openvino"):
        sr_zoo.Upscaler(file, runtime="openvino")
    with pytest.raises(OptionError, match=r"small\.onnx runs in float32 on the CPU"):
        sr_zoo.Upscaler(file, dtype="bfloat16")
    with pytest.raises(OptionError, match="ExportedNetwork always computes the same"):
        sr_zoo.Upscaler(file, budget=0.5)
    with pytest.raises(ExportError, match="does not exist"):
        sr_zoo.Upscaler(tmp_path / "missing.onnx")


@pytest.mark.parametrize("suffix", ENGINES)
def test_in_the_place_of_a_weight_file_it_is_told_for_what_it_is(network, tmp_path, suffix):
    to = next(to for to in FORMATS if to in ENGINES[suffix] or suffix == f".{to}")
    path = export_model(network, tmp_path / f"small{suffix}", to=to, sizes=()).path
    told = rf"{path.name} is an exported network, .* sr_zoo.Upscaler\(FILE\), `sr-zoo upscale"
    with pytest.raises(CheckpointError, match=told):
        sr_zoo.load_model(path)
    with pytest.raises(CheckpointError, match=told):
        sr_zoo.create_model("fsrcnn", 2, checkpoint=path)


def test_commands_that_need_weights_say_so_of_a_file(file, capsys):
    for arguments in (["bench"], ["export", "--to", "openvino"]):
        with pytest.raises(SystemExit, match="1"):
            main([*arguments, str(file)])
        assert "small.onnx is an exported network, not a weight file" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        main(["info", str(file)])
    assert "small.onnx is a file or folder; sr-zoo info takes a model's" in capsys.readouterr().err
