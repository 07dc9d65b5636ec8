"""int8 is an explicit choice for plain networks, and says what it costs."""

import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo.cli import main
from sr_zoo.errors import ExportError, OptionError
from sr_zoo.export.exporting import open_exported
from sr_zoo.export.facts import facts_of
from sr_zoo.export.int8 import export_int8


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return sr_zoo.create_model("espcn", 2, pretrained=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    for index, turned in enumerate((ramp[:, None, None], ramp[None, :, None])):
        Image.fromarray(np.broadcast_to(turned, (64, 64, 3)).copy()).save(path / f"{index}.png")
    return path


def test_an_int8_file_stands_for_its_network_and_tells_its_loss(network, folder, tmp_path):
    import onnx

    done = export_int8(network, tmp_path / "small.onnx", folder)
    assert done.images == 2
    assert str(done).startswith(f"int8 loses {done.float_psnr - done.int8_psnr:.2f} dB: ")
    kept = onnx.load(done.path).graph
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in kept.node}
    assert open_exported(done.path).facts == facts_of(network)
    image = torch.rand(1, 3, 20, 30)
    with torch.inference_mode():
        exact = network(image)
    error = (open_exported(done.path).run(image) - exact).norm() / exact.norm()
    assert 0 < error < 0.1
    assert sr_zoo.Upscaler(done.path, tile=16)(image).shape == exact.shape


def test_images_that_come_out_exact_tell_no_loss(folder, tmp_path):
    black = sr_zoo.create_model("espcn", 2, pretrained=False)
    *_, weight, bias = black.parameters()
    torch.nn.init.zeros_(weight)
    torch.nn.init.constant_(bias, -20)  # before a sigmoid
    photos = shutil.copytree(folder, tmp_path / "photos")
    (tmp_path / "dark").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "dark" / "dark.png")
    shutil.copy(tmp_path / "dark" / "dark.png", photos)
    done = export_int8(black, tmp_path / "small.onnx", photos)
    assert done.images == 2
    assert str(done).startswith("int8 loses 0.00 dB: ")
    with pytest.raises(OptionError, match=r"dark: .* flat ones do; name a folder of photographs"):
        export_int8(black, tmp_path / "other.onnx", tmp_path / "dark")
    assert not (tmp_path / "other.onnx").exists()


def test_a_name_that_nothing_would_open_is_refused(network, folder, tmp_path):
    with pytest.raises(ExportError, match=r"small.int8 does not end in .onnx"):
        export_int8(network, tmp_path / "small.int8", folder)


def test_networks_that_are_not_plain_are_refused(folder, tmp_path):
    rlfn = sr_zoo.create_model("rlfn_s", 4, pretrained=False)
    with pytest.raises(OptionError, match=r"int8 is for plain .* rlfn_s has the tags attention"):
        export_int8(rlfn, tmp_path / "rlfn.onnx", folder)
    with pytest.raises(OptionError, match="of create_model or load_model, got a Conv2d"):
        export_int8(torch.nn.Conv2d(3, 3, 3), tmp_path / "conv.onnx", folder)
    assert list(tmp_path.iterdir()) == []


def test_networks_without_a_convolution_inside_are_refused(folder, tmp_path):
    two = sr_zoo.create_model("quicksrnet_small", 2, pretrained=False, num_layers=0)
    with pytest.raises(OptionError, match=r"between the first and the last .* without --int8"):
        export_int8(two, tmp_path / "two.onnx", folder)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_images_and_a_missing_package_are_named(
    network, folder, tmp_path, monkeypatch
):
    with pytest.raises(OptionError, match="has no HR images"):
        export_int8(network, tmp_path / "small.onnx", tmp_path)
    with pytest.raises(ExportError, match="does not exist"):
        export_int8(network, tmp_path / "missing" / "small.onnx", folder)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install 'sr_zoo\[onnx\]'"):
        export_int8(network, tmp_path / "small.onnx", folder)


def test_the_command_prints_the_loss(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "photos")
    arguments = ["export", "espcn", "--untrained", "--scale", "2"]
    calibrated = [*arguments, "--int8", str(tmp_path / "photos")]
    with pytest.raises(SystemExit, match="0"):
        main([*calibrated, "-o", str(tmp_path / "small.onnx")])
    file, told = capsys.readouterr().out.splitlines()
    assert file == str(tmp_path / "small.onnx")
    assert told.startswith("  int8 loses ")
    with pytest.raises(SystemExit, match="1"):
        main([*calibrated, "--to", "openvino"])
    assert "--int8 writes ONNX files" in capsys.readouterr().err
