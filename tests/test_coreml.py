"""Files that coremltools turns into models of Core ML."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo.cli import main
from sr_zoo.errors import ExportError, OptionError
from sr_zoo.export.coreml import export_coreml_ready


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return sr_zoo.create_model(
        "rlfn_s", 2, pretrained=False, channels=8, hidden=8, num_blocks=1, esa_channels=4
    )


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "small.pt2"
    return export_coreml_ready(network, path, size=(40, 24))


def test_the_file_computes_what_the_network_does(network, exported):
    (comparison,) = exported.comparisons
    assert comparison.size == (1, 24, 40)
    image = torch.rand(1, 3, 24, 40)
    program = torch.export.load(exported.path).module()
    torch.testing.assert_close(program(image), network.eval()(image), atol=1e-5, rtol=0)


def test_coremltools_converts_it(exported):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where Core ML itself is not, coremltools says so
        coremltools = pytest.importorskip("coremltools")
        model = coremltools.convert(torch.export.load(exported.path))
    (taken,), (given,) = model.get_spec().description.input, model.get_spec().description.output
    assert list(taken.type.multiArrayType.shape) == [1, 3, 24, 40]
    assert "mlProgram" in str(model.get_spec().WhichOneof("Type"))
    assert given.type.HasField("multiArrayType")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("safmn", {"num_blocks": 1}),  # indices that are calculated
        ("shufflemixer", {"num_blocks": 1}),
        ("quicksrnet_medium", {"num_layers": 1}),  # clamps
        ("pcsr_fsrcnn", {"heavy": (8,), "light": (8,)}),  # mixes two outputs
    ],
)
def test_coremltools_converts_what_it_has_no_operators_for(name, sizes, tmp_path):
    network = sr_zoo.create_model(name, 4, pretrained=False, **sizes)
    exported = export_coreml_ready(network, tmp_path / "small.pt2", size=(40, 24))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coremltools = pytest.importorskip("coremltools")
        model = coremltools.convert(torch.export.load(exported.path))
    assert model.get_spec().WhichOneof("Type") == "mlProgram"


def test_it_is_refused_where_images_of_any_size_come(exported, tmp_path):
    with pytest.raises(ExportError, match="takes images of 40x24 only, for coremltools"):
        sr_zoo.Upscaler(exported.path)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((24, 40, 3), np.uint8)).save(photo)
    with pytest.raises(SystemExit, match="2"):
        main(["upscale", str(photo), "--model", str(exported.path)])


def test_a_name_that_nothing_would_open_is_refused(network, tmp_path):
    with pytest.raises(ExportError, match=r"small.onnx does not end in .pt2"):
        export_coreml_ready(network, tmp_path / "small.onnx", size=(40, 24))


def test_a_size_is_asked_for_and_checked(network, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["export", "espcn", "--untrained", "--scale", "2"]
    for wrong, told in {
        ("--to", "coreml-ready"): "--to coreml-ready needs --size, such as --size 256x256",
        ("--to", "onnx", "--size", "40x24"): "--size 40x24 goes with --to coreml-ready only",
    }.items():
        with pytest.raises(SystemExit, match="1"):
            main([*command, *wrong])
        assert told in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        main([*command, "--to", "coreml-ready", "--size", "40"])
    assert "--size must be width x height such as 320x180, got '40'" in capsys.readouterr().err
    with pytest.raises(OptionError, match=r"at least 1, got \(0, 24\)"):
        export_coreml_ready(network, tmp_path / "small.pt2", size=(0, 24))
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--to", "coreml-ready", "--size", "40x24"])
    file, compared = capsys.readouterr().out.splitlines()
    assert (tmp_path / file).is_file()
    assert file == "espcn_x2_40x24.pt2"
    assert compared.startswith("  1 x 3 x 24 x 40: differs by")
