"""Exported files compute what the network does, at any size, and say what they hold."""

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from shared_data import shared
from thin import build_thin

import sr_zoo
from sr_zoo.blocks import ESA
from sr_zoo.cli import main
from sr_zoo.errors import ExportError, OptionError
from sr_zoo.export import export_model, exporting, ncnn, onnx
from sr_zoo.export.bfloat16 import approximate_erf, sum_by_convolution
from sr_zoo.export.exporting import FORMATS, SIZES, compare, open_exported
from sr_zoo.export.facts import Facts, facts_of
from sr_zoo.export.program import Source, capture, trace_of
from sr_zoo.registry import MODELS

UNSEEN = (3, 50, 17)  # a size that no file was verified at

# few blocks: of windows and masks; of a router and averages over the whole image; of pixel masks
QUICK = {
    "swinir_light": {"depths": (2,), "num_heads": 2, "channels": 12},
    "seemore_t": {"num_groups": 1, "channels": 4},
    "smsr": {"num_modules": 1, "num_layers": 2, "channels": 16},
}


UNTOLD = Facts("thin", 4, 8, 1, True, 1000)  # of a network that was built by hand


@pytest.fixture
def small():
    torch.manual_seed(0)
    return sr_zoo.create_model("espcn", 2, pretrained=False)


@pytest.mark.parametrize("to", FORMATS)
def test_file_computes_what_the_network_does_at_any_size(small, tmp_path, to):
    suffix = import_module(FORMATS[to]).SUFFIX
    exported = export_model(small, tmp_path / f"small{suffix}", to=to)
    assert [comparison.size for comparison in exported.comparisons] == list(SIZES)
    opened = open_exported(exported.path)
    (unseen,) = compare(small, opened, [UNSEEN])
    assert unseen.difference <= unseen.allowed
    assert opened.facts == facts_of(small)
    names = {path.name for path in tmp_path.iterdir()}
    assert names <= {f"small{suffix}", exported.path.with_suffix(".bin").name}


def test_openvino_sums_channels_by_convolutions_to_the_same_numbers(tmp_path):
    openvino = pytest.importorskip("openvino")
    torch.manual_seed(0)
    network = build_thin("seemore_t", 4, **QUICK["seemore_t"]).eval()
    onnx.write(Source(network, UNTOLD), tmp_path / "network.onnx")
    core, image = openvino.Core(), torch.rand(2, 3, 50, 17)
    model = core.read_model(tmp_path / "network.onnx")
    assert sum_by_convolution(model) == 10  # a mean and a norm in each of five normalisations
    assert sum_by_convolution(model) == 0
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        expected = network(image)
    output = torch.from_numpy(compiled(image.numpy())[0])
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=0)


def test_openvino_approximates_gelu_to_what_bfloat16_can_tell_apart():
    openvino = pytest.importorskip("openvino")
    ops = openvino.opset13
    given = ops.parameter([4001], np.float32)
    model = openvino.Model([ops.erf(given)], [given], "erf")
    assert approximate_erf(model) == 1
    assert approximate_erf(model) == 0
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    x = torch.linspace(-100, 100, 4001)
    erf = torch.from_numpy(compiled((x / 2**0.5).numpy())[0])
    gelu = x / 2 * (1 + erf)
    torch.testing.assert_close(gelu, torch.nn.functional.gelu(x), atol=6e-4, rtol=1e-6)


@pytest.mark.parametrize("name", QUICK)
def test_onnx_holds_windows_routers_and_statistics(name, tmp_path):
    torch.manual_seed(0)
    network = build_thin(name, 4, **QUICK[name]).eval()
    onnx.write(Source(network, UNTOLD), tmp_path / "network.onnx")
    for comparison in compare(network, open_exported(tmp_path / "network.onnx"), [*SIZES, UNSEEN]):
        assert comparison.difference <= comparison.allowed, comparison


# few blocks: of a strided pooling that needs a least side; of contrasts over the whole image
@pytest.mark.parametrize("name", ["rlfn", "bsrn"])
def test_ncnn_holds_attention_at_any_size(name, tmp_path):
    torch.manual_seed(0)
    network = build_thin(name, 4, num_blocks=1).eval()
    path = tmp_path / "network.ncnn.param"
    ncnn.write(Source(network, UNTOLD), path)
    opened = open_exported(path)
    assert opened.facts.least_side == ESA.WINDOW
    for comparison in compare(network, opened, [*SIZES, UNSEEN]):
        assert comparison.difference <= comparison.allowed, comparison


def test_what_ncnn_has_no_layer_for_is_named(tmp_path):
    torch.manual_seed(0)
    source = Source(build_thin("seemore_t", 4, **QUICK["seemore_t"]).eval(), UNTOLD)
    with pytest.raises(ExportError, match=r"written for ncnn, which has no layer for .*scatter"):
        ncnn.write(source, tmp_path / "network.ncnn.param")
    assert not any(tmp_path.iterdir())


def test_ncnn_takes_the_weights_of_its_own_description_only(small, tmp_path):
    path = export_model(small, tmp_path / "a.ncnn.param", to="ncnn", sizes=()).path
    other = type(small)(**small.identity.arguments)
    other.identity = small.identity
    others = export_model(other, tmp_path / "b.ncnn.param", to="ncnn", sizes=()).path
    weights = others.with_suffix(".bin").read_bytes()
    assert len(weights) == path.with_suffix(".bin").stat().st_size
    path.with_suffix(".bin").write_bytes(weights)
    with pytest.raises(ExportError, match=r"a\.ncnn\.bin cannot be opened .* another network"):
        open_exported(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "sha256" not in line))  # as it was before
    assert open_exported(path).facts.scale == small.scale


def test_ncnn_files_have_two_names_that_collide_with_no_other_format(small, tmp_path):
    with pytest.raises(ExportError, match=r"small.param does not end in .ncnn.param"):
        export_model(small, tmp_path / "small.param", to="ncnn")
    path = export_model(small, tmp_path / "small.ncnn.param", to="ncnn", sizes=()).path
    path.with_suffix(".bin").rename(tmp_path / "small.bin")
    with pytest.raises(ExportError, match=r"opened by ncnn: small.ncnn.bin is not beside it"):
        open_exported(path)


def test_onnx_is_valid_named_and_tells_nothing_of_this_machine(small, tmp_path):
    import onnx as format

    path = export_model(small, tmp_path / "small.onnx", to="onnx", sizes=()).path
    model = format.load(path)
    format.checker.check_model(model, full_check=True)
    (taken,), (given,) = model.graph.input, model.graph.output
    assert (taken.name, given.name) == ("input", "output")
    assert [d.dim_param or d.dim_value for d in taken.type.tensor_type.shape.dim] == [
        "batch",
        3,
        "height",
        "width",
    ]
    assert str(tmp_path).encode() not in path.read_bytes()
    assert __file__.encode() not in path.read_bytes()
    assert b".py" not in path.read_bytes()


def test_network_is_exported_in_its_fused_form(tmp_path):
    import onnx as format

    trained = sr_zoo.create_model("etds_m4c32", 2, pretrained=False)
    path = export_model(trained, tmp_path / "etds.onnx", to="onnx").path
    shapes = [tuple(t.dims) for t in format.load(path).graph.initializer if len(t.dims) == 4]
    assert shapes == [tuple(p.shape) for p in sr_zoo.fuse(trained).parameters() if p.ndim == 4]


def test_file_that_differs_is_not_kept(small, tmp_path, monkeypatch):
    def wrong(network):
        other = sr_zoo.fuse(network)
        torch.nn.init.zeros_(next(other.parameters()))
        return other

    monkeypatch.setattr(exporting, "fuse", wrong)
    kept = tmp_path / "small.pt2"
    kept.write_text("before")
    with pytest.raises(ExportError, match="not kept, since it does not compute what"):
        export_model(small, kept, to="torch-export")
    assert [path.name for path in tmp_path.iterdir()] == ["small.pt2"]
    assert kept.read_text() == "before"


@pytest.mark.parametrize("to", FORMATS)
def test_a_name_that_nothing_would_open_is_refused(small, tmp_path, to):
    suffix = import_module(FORMATS[to]).SUFFIX
    told = rf"small.pth does not end in {suffix}, .*; name it small{suffix}"
    with pytest.raises(ExportError, match=told):
        export_model(small, tmp_path / "small.pth", to=to)
    assert not any(tmp_path.iterdir())


def test_what_lies_beside_is_not_taken_for_the_files_weights(small, tmp_path):
    (tmp_path / "small.bin").write_text("of another program")
    with pytest.raises(ExportError, match=r"small.bin is there already .* choose another name"):
        export_model(small, tmp_path / "small.xml", to="openvino", sizes=())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of another program"]
    path = export_model(small, tmp_path / "other.xml", to="openvino", sizes=()).path
    for _ in range(2):
        assert export_model(small, path, to="openvino", sizes=()).path == path
        path.unlink()  # as a run that is killed between the two files leaves it


@pytest.mark.parametrize(("to", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml")])
def test_a_link_stays_a_link_to_the_file(small, tmp_path, to, suffix):
    (tmp_path / "store").mkdir()
    kept = tmp_path / "store" / "of another name"
    kept.write_text("before")
    link = tmp_path / f"small{suffix}"
    link.symlink_to(kept)
    assert export_model(small, link, to=to, sizes=()).path == link
    assert link.readlink() == kept
    (same,) = compare(small, open_exported(link), [UNSEEN])
    assert same.difference <= same.allowed
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_an_ending_in_capitals_is_one(small, tmp_path):
    path = export_model(small, tmp_path / "SMALL.XML", to="openvino", sizes=()).path
    (same,) = compare(small, open_exported(path), [UNSEEN])
    assert same.difference <= same.allowed
    assert {file.name for file in tmp_path.iterdir()} == {"SMALL.XML", "SMALL.bin"}


def test_what_a_killed_export_left_goes_with_the_next(small, tmp_path):
    kept = tmp_path / "small.onnx"
    program = (
        "import os, sr_zoo.export as export, sr_zoo; from sr_zoo.export import exporting; "
        "exporting.compare = lambda *_: os._exit(9); "
        "network = sr_zoo.create_model('espcn', 2, pretrained=False); "
        f"export.export_model(network, {str(kept)!r}, to='onnx')"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 1  # half done
    other = tmp_path / "other.onnx"
    export_model(small, other, to="onnx", sizes=())
    assert len(list(tmp_path.iterdir())) == 2
    export_model(small, kept, to="onnx", sizes=())
    assert sorted(tmp_path.iterdir()) == [other, kept]


def test_what_cannot_be_exported_is_said(small, tmp_path):
    with pytest.raises(OptionError, match=r"Unknown format 'onxn'. Did you mean 'onnx'\?"):
        export_model(small, tmp_path / "small.onnx", to="onxn")
    for to in (None, ["onnx"]):
        with pytest.raises(OptionError, match=r"Unknown format .*\. Formats: onnx"):
            export_model(small, tmp_path / "small.onnx", to=to)
    with pytest.raises(OptionError, match="of create_model or load_model, got a Conv2d"):
        export_model(torch.nn.Conv2d(3, 3, 3), tmp_path / "small.onnx", to="onnx")
    with pytest.raises(ExportError, match=r"the folder .* does not exist"):
        export_model(small, tmp_path / "missing" / "small.onnx", to="onnx")
    with pytest.raises(ExportError, match="was built by hand; build it with create_model"):
        export_model(build_thin("carn", 2), tmp_path / "carn.onnx", to="onnx")


class Branching(torch.nn.Module):
    identity = None

    def forward(self, x):
        return x if x.shape[-1] < 50 else 2 * x


def test_network_that_branches_on_the_size_is_refused():
    with pytest.raises(ExportError, match="Branching cannot be traced for all sizes at once: "):
        capture(Branching())


def test_a_network_in_channels_last_memory_is_traced_for_all_sizes_too():
    network = sr_zoo.create_model("smsr", 2, pretrained=False, **QUICK["smsr"])
    network.eval().to(memory_format=torch.channels_last)
    traced = capture(network).module()
    x = torch.rand(2, 3, 5, 7)
    torch.testing.assert_close(traced(x), network(x), atol=1e-6, rtol=0)


def test_an_error_without_words_is_named():
    refused = pytest.raises(ExportError, match="net cannot be traced for 64x48: AssertionError")
    with refused, trace_of("net", "64x48"):
        raise AssertionError


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2", ".ncnn.param"])
def test_files_of_others_are_refused(tmp_path, suffix):
    path = tmp_path / f"damaged{suffix}"
    with pytest.raises(ExportError, match="does not exist"):
        open_exported(path)
    path.write_bytes(b"no network")
    with pytest.raises(ExportError, match="cannot be opened"):
        open_exported(path)
    with pytest.raises(ExportError, match=r"those end in .onnx, .xml, .pt2 or .ncnn.param"):
        open_exported(tmp_path / "network.pth")


def test_onnx_without_our_metadata_is_refused(small, tmp_path):
    import onnx as format

    path = export_model(small, tmp_path / "small.onnx", to="onnx", sizes=()).path
    model = format.load(path)
    del model.metadata_props[:]
    format.save(model, path)
    with pytest.raises(ExportError, match="does not say which network it holds"):
        open_exported(path)


@pytest.mark.parametrize(
    ("package", "to"),
    [
        ("onnx_ir", "onnx"),
        ("onnxscript", "onnx"),
        ("onnxruntime", "onnx"),
        ("openvino", "openvino"),
        ("pnnx", "ncnn"),
        ("ncnn", "ncnn"),
    ],
)
def test_missing_packages_are_named(small, tmp_path, monkeypatch, package, to):
    monkeypatch.setitem(sys.modules, package, None)
    told = rf"files need {package}, which is not installed: pip install 'sr_zoo\[{to}\]'"
    with pytest.raises(ExportError, match=told):
        export_model(small, tmp_path / f"small{import_module(FORMATS[to]).SUFFIX}", to=to)


def test_weights_that_overflow_on_white_noise_are_compared_on_what_they_are_for(tmp_path):
    network = sr_zoo.load_model(shared("weights", "pan", "PANx4_DF2K.pth"))
    assert network(torch.rand(1, 3, 24, 40)).abs().max() > 1e6
    assert export_model(network, tmp_path / "pan.pt2", to="torch-export").comparisons


def test_a_converter_that_does_not_start_is_not_taken_for_a_full_disk(small, tmp_path, monkeypatch):
    blocked = tmp_path / "pnnx"
    blocked.touch()  # nobody may execute it
    monkeypatch.setattr("pnnx.EXEC_PATH", str(blocked))
    with pytest.raises(ExportError, match=r"pnnx cannot be started \(Permission denied\)"):
        export_model(small, tmp_path / "small.ncnn.param", to="ncnn")


def test_command_names_the_file_and_what_was_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        main(["export", "espcn", "--untrained", "--scale", "2", "--to", "torch-export"])
    first, *compared = capsys.readouterr().out.splitlines()
    assert first == "espcn_x2.pt2"
    assert (tmp_path / first).is_file()
    assert len(compared) == len(SIZES)
    assert all("differs by" in line for line in compared)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_network_is_exported(name, tmp_path):
    torch.manual_seed(0)
    scales = sr_zoo.model_info(name).scales
    network = sr_zoo.create_model(name, max(scales), pretrained=False)
    for to in ("torch-export", "openvino"):  # the latter by way of ONNX
        suffix = import_module(FORMATS[to]).SUFFIX
        assert export_model(network, tmp_path / f"network{suffix}", to=to).comparisons


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--scale=2", "is of scale 4, not 2; weights of rlfn_s: "),
        ("--untrained", "goes with a model's name"),
    ],
)
def test_options_of_names_are_refused_for_weights(option, told, tmp_path, capsys):
    with pytest.raises(SystemExit, match="1"):
        main(["export", "rlfn_s_x4.sr_zoo", option, "-o", str(tmp_path / "a.onnx")])
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_program_that_is_cut_short_is_told_in_one_line(small, tmp_path):
    path = export_model(small, tmp_path / "a.pt2", to="torch-export", sizes=()).path
    path.write_bytes(path.read_bytes()[:-100])
    # in a process of its own: torch logs to what standard error was when it was imported
    code = f"from sr_zoo.cli import main; main(['upscale', 'a.png', '-o=b', {f'--model={path}'!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert f"{path} cannot be opened as a torch.export program: " in line
    assert "warnings above" not in line


def test_the_scale_decides_where_a_file_leaves_it_open(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(sr_zoo.create_model("fsrcnn", 3, pretrained=False).state_dict(), file)
    with pytest.raises(SystemExit, match="0"):
        main(
            [
                "export",
                str(file),
                "--scale=3",
                "--to=torch-export",
                f"--output={tmp_path / 'a.pt2'}",
            ]
        )
    assert open_exported(tmp_path / "a.pt2").facts.scale == 3


def test_an_openvino_file_without_its_weights_is_told_in_one_line(tmp_path):
    pytest.importorskip("openvino")
    network = sr_zoo.create_model("espcn", 2, pretrained=False)
    path = export_model(network, tmp_path / "a.xml", to="openvino", sizes=()).path
    path.with_suffix(".bin").unlink()
    with pytest.raises(ExportError, match=r"opened by OpenVINO: a\.bin is not beside it$"):
        open_exported(path)
