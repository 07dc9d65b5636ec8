"""What runs a network, and in which floating-point type."""

import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import sr_zoo
from sr_zoo.errors import FileWriteError, OptionError
from sr_zoo.export import export_model
from sr_zoo.inference.runtimes import choice, eager, precision
from sr_zoo.inference.runtimes.precision import Loss, pick_dtype

CPU = torch.device("cpu")


@pytest.fixture
def network():
    return sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo")


def test_an_unknown_runtime_is_refused_with_the_known_ones(network):
    with pytest.raises(OptionError, match=r"'touch'.* Did you mean 'torch'.*Runtimes: auto"):
        sr_zoo.Upscaler(network, runtime="touch")
    for wrong in (None, ["torch"], np.ones(2)):
        with pytest.raises(OptionError, match=r"runtime must be one of auto, torch, .*, got "):
            sr_zoo.Upscaler(network, runtime=wrong)


def test_an_unknown_type_is_refused_with_the_known_ones(network):
    with pytest.raises(OptionError, match="one of auto, float32, bfloat16, float16, got 'int4'"):
        sr_zoo.Upscaler(network, dtype="int4")
    with pytest.raises(OptionError, match=r"one of auto, .*, got \['float32'\]"):
        sr_zoo.Upscaler(network, dtype=["float32"])
    with pytest.raises(OptionError, match="sr-zoo export MODEL --int8 FOLDER, then give it as"):
        sr_zoo.Upscaler(network, dtype="int8")


def test_the_choice_is_told_in_a_sentence(network):
    upscaler = sr_zoo.Upscaler(network, dtype=torch.bfloat16, runtime="torch")
    assert upscaler.runtime_reason == "torch in bfloat16: as asked for"
    assert (upscaler.runtime, upscaler.dtype) == ("torch", "bfloat16")


def test_half_precision_that_overflows_is_redone_in_float32_and_told_once(network):
    with torch.no_grad():
        network.head.weight.mul_(1e4)  # beyond float16, far from float32's limit
    image = torch.rand(2, 3, 16, 16)
    expected = sr_zoo.Upscaler(network, dtype=None).tensor(image)
    upscaler = sr_zoo.Upscaler(network, dtype="float16")
    with pytest.warns(RuntimeWarning, match="float16 overflows") as told:
        output = upscaler.tensor(image)  # of two images
    assert torch.equal(output, expected)
    assert len(told) == 1


def test_processors_that_torch_says_nothing_of_compute_in_float32(network, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    precision._cpu_has_bfloat16.cache_clear()
    try:
        assert pick_dtype("auto", network, CPU) == torch.float32
    finally:
        precision._cpu_has_bfloat16.cache_clear()


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_one_upscaler_serves_several_threads(network, runtime):
    upscaler = sr_zoo.Upscaler(network, dtype="float32", runtime=runtime)
    images = [torch.rand(1, 3, 24, 24) for _ in range(6)] * 8
    expected = [upscaler.tensor(image) for image in images]  # of a size that is known by now
    with ThreadPoolExecutor(6) as threads:
        outputs = list(threads.map(upscaler.tensor, images))
    for output, each in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, each, atol=1e-5, rtol=0)


def test_a_budget_runs_in_float32_whatever_the_weights_are_in():
    network = sr_zoo.create_model("smsr", 2, pretrained=False).bfloat16()
    output = sr_zoo.Upscaler(network, budget=0.9).tensor(torch.rand(1, 3, 24, 24))
    assert output.shape == (1, 3, 48, 48)


def test_auto_takes_a_type_that_is_native_and_harmless_only(network, monkeypatch):
    def losses(change, agreement):
        return lambda: {("rlfn_s", network.scale): {"bfloat16": Loss(change, agreement)}}

    monkeypatch.setattr(precision, "_native", lambda device: ("bfloat16",))
    for change, agreement, expected in (
        (0.01, 50.0, torch.bfloat16),
        (0.02, 60.0, torch.float32),
        (0.001, 49.9, torch.float32),
    ):
        monkeypatch.setattr(precision, "measured_losses", losses(change, agreement))
        assert pick_dtype("auto", network, CPU) == expected
    monkeypatch.setattr(precision, "measured_losses", dict)
    assert pick_dtype("auto", network, CPU) == torch.float32


@pytest.mark.parametrize("runtime", ["onnxruntime", "ncnn"])
def test_auto_keeps_to_the_types_of_the_runtime_that_was_asked_for(network, runtime, monkeypatch):
    monkeypatch.setattr(precision, "_native", lambda device: ("bfloat16",))
    monkeypatch.setattr(
        precision, "measured_losses", lambda: {("rlfn_s", 4): {"bfloat16": Loss(0.0, 60.0)}}
    )
    assert sr_zoo.Upscaler(network, runtime=runtime).dtype == "float32"
    assert sr_zoo.Upscaler(network, runtime="torch").dtype == "bfloat16"


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_auto_does_not_round_what_is_deeper_than_8_bits(kind, network, monkeypatch):
    monkeypatch.setattr(precision, "_native", lambda device: ("bfloat16",))
    monkeypatch.setattr(
        precision, "measured_losses", lambda: {("rlfn_s", 4): {"bfloat16": Loss(0.0, 60.0)}}
    )
    white = 65535 if kind == np.uint16 else 1.0
    ramp = (np.linspace(0.2, 0.3, 24 * 32).reshape(24, 32) * white).astype(kind)
    auto, exact = (sr_zoo.Upscaler(network, dtype=dtype) for dtype in ("auto", "float32"))
    assert (auto.dtype, auto.suited_to(ramp.dtype).dtype) == ("bfloat16", "float32")
    assert auto.runtime_reason.endswith("images of more than 8 bits by torch in float32")
    rounded = sr_zoo.Upscaler(network, dtype="bfloat16")
    expected = exact(ramp) / white
    assert np.abs(auto(ramp) / white - expected).max() < 2e-5  # a level of 16 bits
    assert np.abs(auto(torch.from_numpy(ramp)[None]).numpy() / white - expected).max() < 2e-5
    assert np.abs(rounded(ramp) / white - expected).max() > 2e-4


def test_a_network_of_other_widths_or_scale_is_not_what_was_measured(network, monkeypatch):
    monkeypatch.setattr(precision, "_native", lambda device: ("bfloat16",))
    monkeypatch.setattr(
        precision, "measured_losses", lambda: {("rlfn_s", 4): {"bfloat16": Loss(0.0, 60.0)}}
    )
    narrow = sr_zoo.create_model("rlfn_s", 4, pretrained=False, channels=8, hidden=8)
    of_another_scale = sr_zoo.create_model("rlfn_s", 2, pretrained=False)
    assert pick_dtype("auto", network, CPU) == torch.bfloat16
    assert pick_dtype("auto", narrow, CPU) == torch.float32
    assert pick_dtype("auto", of_another_scale, CPU) == torch.float32


def test_a_processor_without_bfloat16_stays_in_float32(network, monkeypatch):
    monkeypatch.setattr(precision, "_native", lambda device: ())
    assert pick_dtype("auto", network, CPU) == torch.float32


def test_a_network_of_another_type_keeps_it(network):
    network.to(torch.bfloat16)
    assert sr_zoo.Upscaler(network).dtype == "bfloat16"
    assert sr_zoo.Upscaler(network, dtype=None).dtype == "bfloat16"
    assert sr_zoo.Upscaler(network, dtype="float32").dtype == "float32"


@pytest.mark.parametrize(("model", "side"), [("rlfn_s_x4.sr_zoo", 64), ("nearest", 400)])
def test_no_compiler_is_loaded_for_an_image(model, side):
    # torch's takes several times as long to import as a small image takes to enlarge; a larger one
    # has its memory counted first
    program = (
        "import sys, numpy, sr_zoo; "
        f"sr_zoo.upscale(numpy.zeros(({side}, {side}, 3), 'uint8'), model={model!r}); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Two networks of which one is exact in tiles, as OpenVINO runs them, and the cache."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SR_ZOO_CACHE", str(cache))
        network = sr_zoo.create_model("fsrcnn", 2, pretrained=False)
        yield network, sr_zoo.Upscaler(network, runtime="openvino")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_exported_program_gives_the_pictures_of_the_network(prepared):
    network, upscaler = prepared
    image = torch.rand(1, 3, 37, 29)
    expected = sr_zoo.Upscaler(network, runtime="torch").tensor(image)
    torch.testing.assert_close(upscaler.tensor(image), expected, atol=1e-4, rtol=0)
    sent = pickle.loads(pickle.dumps(upscaler))  # as to another process
    assert torch.equal(sent.tensor(image), upscaler.tensor(image))
    for runtime in ("onnxruntime", "ncnn"):
        other = sr_zoo.Upscaler(network, runtime=runtime)
        torch.testing.assert_close(other.tensor(image), expected, atol=1e-4, rtol=0)
        assert torch.equal(pickle.loads(pickle.dumps(other)).tensor(image), other.tensor(image))
    tiled = sr_zoo.Upscaler(network, runtime="openvino", tile=16)
    torch.testing.assert_close(tiled.tensor(image), expected, atol=1e-4, rtol=0)


def test_a_size_that_keeps_coming_changes_nothing_but_the_speed(prepared, monkeypatch):
    monkeypatch.setattr("sr_zoo.export.openvino.PATIENCE", 0)  # one run and it is compiled for
    network, _ = prepared
    eager = sr_zoo.Upscaler(network, runtime="torch")
    upscaler = sr_zoo.Upscaler(network, runtime="openvino")
    for size in ((37, 29), (37, 29), (24, 50), (37, 29), (24, 50), (24, 50)):
        image = torch.rand(1, 3, *size)
        torch.testing.assert_close(upscaler.tensor(image), eager.tensor(image), atol=1e-4, rtol=0)


def test_a_size_that_cannot_be_compiled_for_runs_as_before(prepared, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no primitive for this shape")

    monkeypatch.setattr("sr_zoo.export.openvino.PATIENCE", 0)
    monkeypatch.setattr("openvino.Model.reshape", refuse)
    network, _ = prepared
    image = torch.rand(1, 3, 37, 29)
    expected = sr_zoo.Upscaler(network, runtime="torch").tensor(image)
    upscaler = sr_zoo.Upscaler(network, runtime="openvino")
    for _ in range(3):
        torch.testing.assert_close(upscaler.tensor(image), expected, atol=1e-4, rtol=0)


def test_a_file_that_goes_away_meanwhile_stops_no_run(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("sr_zoo.export.openvino.PATIENCE", 0)
    network, _ = prepared
    file = export_model(network, tmp_path / "small.xml", to="openvino", sizes=()).path
    upscaler = sr_zoo.Upscaler(file)
    file.unlink()
    image = torch.rand(1, 3, 37, 29)
    expected = sr_zoo.Upscaler(network, runtime="torch").tensor(image)
    for _ in range(2):
        torch.testing.assert_close(upscaler.tensor(image), expected, atol=1e-4, rtol=0)


@pytest.mark.slow  # the export takes a quarter of a minute
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_windows_need_no_whole_image_where_tiles_lie_on_their_grid(tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path))
    network = sr_zoo.create_model(
        "ditn_real", 2, pretrained=False, channels=12, num_units=1, num_inner=1, num_spatial=1
    )
    image = torch.rand(1, 3, 40, 29)
    expected = sr_zoo.Upscaler(network, runtime="torch").tensor(image)
    tiled = sr_zoo.Upscaler(network, runtime="openvino", tile=16)
    torch.testing.assert_close(tiled.tensor(image), expected, atol=1e-4, rtol=0)


@pytest.mark.slow  # the compiler takes half a minute
@pytest.mark.skipif(not any(map(shutil.which, eager._compilers())), reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_network_gives_the_same_pictures_at_any_size(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network = sr_zoo.create_model("espcn", 2, pretrained=False)
    compiled = sr_zoo.Upscaler(network, runtime="compile")
    for size in ((37, 29), (24, 50)):
        image = torch.rand(1, 3, *size)
        expected = sr_zoo.Upscaler(network, runtime="torch").tensor(image)
        torch.testing.assert_close(compiled.tensor(image), expected, atol=1e-5, rtol=0)
    tiled = sr_zoo.Upscaler(network, runtime="compile", tile=16)
    torch.testing.assert_close(tiled.tensor(image), expected, atol=1e-5, rtol=0)


def test_compiling_without_a_compiler_is_refused_before_the_first_image(network, monkeypatch):
    monkeypatch.setattr(eager.shutil, "which", lambda name: None)
    with pytest.raises(OptionError, match=r"needs a C\+\+ compiler such as g\+\+, and finds none"):
        sr_zoo.Upscaler(network, runtime="compile")


@pytest.mark.parametrize("runtime", ["compile", "onnxruntime"])
def test_a_cache_that_cannot_be_written_to_is_named(network, tmp_path, runtime, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "file"))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(eager.shutil, "which", lambda name: name)
    with pytest.raises(FileWriteError, match=r"file.*: the folder cannot be made \("):
        sr_zoo.Upscaler(network, runtime=runtime)


def test_a_cache_that_cannot_be_looked_into_is_no_matter_to_auto(network, tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / (300 * "x")))  # no system takes such a name
    with pytest.raises(FileWriteError, match=r"the folder cannot be made \(File name too long"):
        sr_zoo.Upscaler(network, runtime="onnxruntime")
    speeds = {"rlfn_s": {"float32": {"onnxruntime": 1.5}}}
    monkeypatch.setattr(choice, "measured_speeds", lambda: speeds)
    assert sr_zoo.Upscaler(network, dtype="float32").runtime == "torch"


def test_auto_takes_what_was_measured_faster_once_it_is_ready(prepared, monkeypatch):
    network, _ = prepared
    speeds = {"fsrcnn": {"float32": {"openvino": 1.5}}}
    monkeypatch.setattr(choice, "measured_speeds", lambda: speeds)
    reason = "openvino was measured to be 1.5 times as fast"
    told = sr_zoo.Upscaler(network, dtype="float32").runtime_reason
    assert told == f"openvino in float32: {reason}"
    unprepared = sr_zoo.create_model("fsrcnn", 2, pretrained=False)
    told = sr_zoo.Upscaler(unprepared, dtype="float32").runtime_reason
    assert (
        told == f"torch in float32: {reason}; --runtime openvino prepares it for this network, once"
    )
    lower = sr_zoo.Upscaler(network, dtype="bfloat16").runtime_reason
    assert lower == "torch in bfloat16: no other runtime was measured to be faster for this model"
    speeds["fsrcnn"]["bfloat16"] = {"openvino": 1.2}
    lower = sr_zoo.Upscaler(network, dtype="bfloat16").runtime_reason
    assert lower == "openvino in bfloat16: openvino was measured to be 1.2 times as fast"
    monkeypatch.setattr(choice, "missing", lambda name: [name])
    told = sr_zoo.Upscaler(network, dtype="float32").runtime_reason
    assert told == f"torch in float32: {reason}, but needs openvino: pip install 'sr_zoo[runtime]'"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("runtime", "name"),
    [
        ("openvino", "network.onnx"),
        ("onnxruntime", "network.onnx"),
        ("ncnn", "network.ncnn.param"),
        ("ncnn", "network.ncnn.bin"),
    ],
)
def test_a_prepared_program_that_is_damaged_is_prepared_again(cache, runtime, name, monkeypatch):
    network = sr_zoo.create_model("espcn", 2, pretrained=False)
    image = torch.rand(1, 3, 20, 24)
    expected = sr_zoo.Upscaler(network, runtime="torch").tensor(image)
    sr_zoo.Upscaler(network, runtime=runtime)
    (file,) = cache.glob(f"runtimes/*/{name}")
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        upscaler = sr_zoo.Upscaler(network, runtime=runtime)
        torch.testing.assert_close(upscaler.tensor(image), expected, atol=1e-4, rtol=0)
        assert len(file.read_bytes()) == len(whole)
    file.unlink()
    assert sr_zoo.Upscaler(network, runtime=runtime).runtime == runtime
    file.write_bytes(b"")
    monkeypatch.setattr(choice, "measured_speeds", lambda: {"espcn": {"float32": {runtime: 1.5}}})
    upscaler = sr_zoo.Upscaler(network, dtype="float32")
    assert upscaler.runtime_reason == (
        f"torch in float32: {runtime} was measured to be 1.5 times as fast, but what was prepared "
        f"is damaged; --runtime {runtime} prepares it again"
    )
    assert torch.equal(upscaler.tensor(image), expected)


def test_a_program_half_prepared_by_a_killed_run_is_prepared_again(cache):
    network = sr_zoo.create_model("espcn", 2, pretrained=False)
    sr_zoo.Upscaler(network, runtime="ncnn")
    (weights,) = cache.glob("runtimes/*/network.ncnn.bin")
    weights.write_bytes(b"cut")
    weights.with_suffix(".param").unlink()
    assert sr_zoo.Upscaler(network, runtime="ncnn").runtime == "ncnn"


def test_a_missing_package_is_told_with_how_to_get_it(network, monkeypatch):
    monkeypatch.setattr("sr_zoo.inference.runtimes.prepared.missing", lambda name: [name])
    with pytest.raises(OptionError, match=r"needs openvino: pip install 'sr_zoo\[runtime\]'"):
        sr_zoo.Upscaler(network, runtime="openvino")
