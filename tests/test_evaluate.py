import csv
import json
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sr_zoo.api import create_model
from sr_zoo.cli import main
from sr_zoo.errors import FileWriteError, OptionError
from sr_zoo.evaluation import evaluate as module
from sr_zoo.evaluation.benchmarks import data_folder
from sr_zoo.evaluation.candidates import Candidate, find_candidates
from sr_zoo.evaluation.crops import crop_where_different
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.evaluate import Options, evaluate
from sr_zoo.evaluation.manifest import update_manifest
from sr_zoo.evaluation.metrics import psnr_y, ssim_y
from sr_zoo.evaluation.report import as_csv, as_html, as_json, write_report
from sr_zoo.export.exporting import export_model
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.weights.manifest import manifest_path


@pytest.fixture
def folder(tmp_path):
    """Two smooth images of 64x80 pixels."""
    images = tmp_path / "photos"
    images.mkdir()
    rows, columns = np.mgrid[:64, :80]
    for name, period in (("coarse", 30), ("fine", 12)):
        wave = np.sin(rows / period * 6) * np.cos(columns / period * 6) * 100 + 128
        Image.fromarray(np.stack([wave, wave[::-1], 255 - wave], -1).astype(np.uint8)).save(
            images / f"{name}.png"
        )
    return images


@pytest.fixture
def candidate():
    return Candidate("tiny", create_model("rlfn_s", 4, pretrained=False))


def test_scores_are_those_of_the_upscaled_images(folder, candidate):
    evaluation = evaluate([candidate], [open_folder(folder, 4)])
    upscaler = Upscaler(candidate.network, tile=None, dtype="float32")  # as scores are taken
    psnr, ssim = [], []
    for sample in open_folder(folder, 4).samples:
        lr, hr = sample.read()
        psnr.append(psnr_y(upscaler(lr), hr, shave=4))
        ssim.append(ssim_y(upscaler(lr), hr, shave=4))
    (row,) = evaluation.rows()
    assert row.images == 2
    assert row.scores == pytest.approx({"psnr_y": np.mean(psnr), "ssim_y": np.mean(ssim)})
    assert not evaluation.problems


def test_networks_share_one_reading_of_each_image(folder, candidate, monkeypatch):
    reads = []
    read = module.Sample.read
    monkeypatch.setattr(module.Sample, "read", lambda self: reads.append(self.name) or read(self))
    other = Candidate("other", create_model("rlfn_s", 4, pretrained=False))
    half = Candidate("half", create_model("rlfn_s", 2, pretrained=False))
    sets = [open_folder(folder, scale) for scale in (2, 4)]
    evaluation = evaluate([candidate, other, half], sets)
    assert sorted(reads) == ["coarse", "coarse", "fine", "fine"]
    found = [(row.candidate, row.scale) for row in evaluation.rows()]
    assert found == [("tiny", 4), ("other", 4), ("half", 2)]


def test_a_bad_image_is_named_and_the_rest_measured(folder, candidate):
    (folder / "broken.png").write_bytes(b"\x89PNG")
    Image.new("RGB", (3, 3)).save(folder / "dot.png")
    Image.new("RGB", (12, 12)).save(folder / "small.png")
    evaluation = evaluate([candidate], [open_folder(folder, 4)])
    broken, dot, small = evaluation.problems
    assert "photos, broken:" in broken
    assert "photos, dot:" in dot
    assert "too few for scale 4" in dot
    assert "photos, small, ssim_y: Cannot shave 4 pixels" in small
    assert [record.image for record in evaluation.records] == ["coarse", "fine", "small"]


def test_nothing_to_measure_is_an_error(folder, candidate):
    with pytest.raises(OptionError, match="no image to measure"):
        evaluate([candidate], [open_folder(folder, 3)])


def test_data_sets_of_one_name_are_not_averaged(folder, candidate):
    opened = open_folder(folder, 4)
    with pytest.raises(OptionError, match="'photos' stands for 2 data sets at scale 4; open each"):
        evaluate([candidate], [opened, opened])


def test_a_killed_run_goes_on(folder, candidate, tmp_path, monkeypatch):
    journal = tmp_path / "journal.jsonl"
    full = evaluate([candidate], [open_folder(folder, 4)], Options(crops=True), journal=journal)
    first, second = journal.read_bytes().splitlines()
    torn = second[: len(second) // 2]  # a kill while writing
    journal.write_bytes(first + b"\n\x9f\x00 a damaged sector\n" + torn)
    calls = []
    run = module._Run.__call__
    monkeypatch.setattr(module._Run, "__call__", lambda self, lr: calls.append(1) or run(self, lr))
    again = evaluate([candidate], [open_folder(folder, 4)], Options(crops=True), journal=journal)
    assert len(calls) == 1
    assert again.records == full.records
    evaluate([candidate], [open_folder(folder, 4)], Options(crops=True), journal=journal)
    assert len(calls) == 1
    other = Candidate("tiny", create_model("rlfn_s", 4, pretrained=False))
    evaluate([other], [open_folder(folder, 4)], Options(crops=True), journal=journal)
    assert len(calls) == 3  # other weights


def test_crops_show_where_results_differ():
    plain = np.full((200, 300, 3), 90, np.uint8)
    changed = plain.copy()
    changed[120:180, 200:280] += 60
    crop = crop_where_different({"a": plain, "b": changed}, ("LR", plain), ("HR", plain))
    assert list(crop.images) == ["LR", "a", "b", "HR"]
    assert crop.top <= 120
    assert crop.top + crop.side >= 180
    assert crop.left <= 200
    assert crop.left + crop.side >= 280


def test_report_files_hold_every_score(folder, candidate, tmp_path):
    pytest.importorskip("matplotlib")
    evaluation = evaluate([candidate], [open_folder(folder, 4)], Options(crops=True))
    paths = write_report(evaluation, tmp_path / "out", "A <title>")
    assert [path.name for path in paths] == ["report.html", "report.json", "scores.csv"]
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data == json.loads(json.dumps(as_json(evaluation)))
    assert data["models"][0]["num_params"] == sum(p.numel() for p in candidate.network.parameters())
    lines = list(csv.DictReader(as_csv(evaluation).splitlines()))
    assert [line["image"] for line in lines] == ["coarse", "fine"]
    page = as_html(evaluation, "A <title>")
    assert "A &lt;title&gt;" in page
    assert "<svg" in page
    assert page.count("data:image/png;base64,") == 2 * 3
    assert not re.search(r"(src|href)=.?https?:|url\(|@import", page.replace("url(#", ""))


@pytest.fixture
def exported(candidate, tmp_path):
    pytest.importorskip("onnxruntime")
    return export_model(candidate.network, tmp_path / "rlfn_s.onnx", to="onnx").path


def test_an_exported_file_scores_as_the_network_it_was_made_of(folder, candidate, exported):
    pytest.importorskip("matplotlib")
    (file,), problems = find_candidates([str(exported)])
    assert not problems
    evaluation = evaluate([candidate, file], [open_folder(folder, 4)], time_for=0.01)
    of_network, of_file = evaluation.rows()
    assert of_file.candidate == "rlfn_s.onnx"
    assert of_file.scores == pytest.approx(of_network.scores, abs=1e-2)
    network, other = as_json(evaluation)["models"]
    assert "num_params" in network
    assert set(other) == {"model", "scale", "latency"}  # a file does not tell what it costs
    assert "rlfn_s.onnx" in as_html(evaluation, "title")


@pytest.mark.parametrize("options", [{"dtype": torch.bfloat16}, {"device": "meta"}])
def test_exported_files_are_left_out_where_they_cannot_run(exported, options):
    with pytest.raises(OptionError, match=r"rlfn_s\.onnx runs in float32 on the CPU"):
        find_candidates([str(exported)], **options)


def test_an_exported_file_of_a_models_name_that_is_missing_is_named():
    with pytest.raises(OptionError, match=r"rlfn\.onnx does not exist"):
        find_candidates(["rlfn.onnx"])


def test_candidates_are_told_apart_and_failures_named():
    with pytest.raises(OptionError, match=r"name at least one"):
        find_candidates([])
    with pytest.raises(OptionError, match="neither a weight file nor a known id"):
        find_candidates(["rlfm"])


def test_a_models_name_is_the_model_whatever_lies_in_the_working_folder(
    candidate, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    candidate.network.save_pretrained("seemore_t")
    (named,), _ = find_candidates(["seemore_t"])
    assert named.entry.id == "seemore_t_x4.sr_zoo"
    (mine,), _ = find_candidates(["./seemore_t"])
    assert mine.entry is None
    assert mine.fingerprint == candidate.fingerprint


def test_the_manifest_takes_only_the_papers_protocol(folder, candidate):
    evaluation = evaluate([candidate], [open_folder(folder, 4)], Options(self_ensemble=True))
    with pytest.raises(OptionError, match="leave out --self-ensemble"):
        update_manifest(evaluation)
    evaluation = evaluate([candidate], [open_folder(folder, 4)], Options(("psnr_y",)))
    with pytest.raises(OptionError, match="psnr_y and ssim_y"):
        update_manifest(evaluation)


@pytest.mark.parametrize(
    "departure",
    [("--tile", "64"), ("--self-ensemble",), ("--dtype", "bfloat16"), ("--lr", "photos")],
)
def test_what_the_manifest_refuses_is_not_measured(folder, capsys, monkeypatch, departure):
    measured = []
    monkeypatch.setattr(module, "evaluate", lambda *_, **__: measured.append(1))
    with pytest.raises(SystemExit) as stop:
        main(["eval", "bicubic", "--data", str(folder), "--update-manifest", *departure])
    assert stop.value.code == 1
    assert departure[0] in capsys.readouterr().err
    assert not measured


def test_measured_numbers_go_into_the_manifest(folder, candidate, tmp_path, monkeypatch):
    content = json.loads(manifest_path().read_text(encoding="utf-8"))
    copy = tmp_path / "manifest.json"
    copy.write_text(manifest_path().read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("sr_zoo.evaluation.manifest.manifest_path", lambda: copy)
    # only the id of an entry is looked at
    entry = type("Entry", (), {"id": content["entries"][0]["id"]})()
    evaluation = evaluate([Candidate("tiny", candidate.network, entry)], [open_folder(folder, 4)])
    assert update_manifest(evaluation) == [entry.id]
    (row,) = evaluation.rows()
    content["entries"][0].setdefault("metrics", {})["photos"] = {
        name: round(value, 4) for name, value in row.scores.items()
    }
    assert json.loads(copy.read_text(encoding="utf-8")) == content


def test_command_prints_a_table_and_writes_a_report(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (folder / "broken.png").write_bytes(b"no image")
    network = create_model("rlfn_s", 4, pretrained=False)
    checkpoint = tmp_path / "mine.safetensors"
    from safetensors.torch import save_file

    save_file(network.state_dict(), checkpoint)
    arguments = ["eval", f"rlfn_s={checkpoint}", "--data", str(folder), "--scale", "4"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--output", str(tmp_path / "out")])
    assert stop.value.code == 1
    printed = capsys.readouterr()
    assert "mine" in printed.out
    assert "470K" in printed.out
    assert "broken.png is no image" in printed.err
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_table_is_printed_whole_on_any_width(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    named = folder.rename(tmp_path / "[bold]photos of a long name")
    measures = ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]
    with pytest.raises(SystemExit):
        main(["eval", "bicubic", "--data", str(named), "--measure", *measures])
    titles, columns, scores = capsys.readouterr().out.splitlines()
    assert named.name in titles
    assert columns.split() == ["Model", "Scale", "Params", "MACs", "/".join(measures)]
    assert scores.split()[:3] == ["bicubic", "x4", "0K"]
    assert re.fullmatch(r"\d\d\.\d\d/0\.\d{4}/\d\d\.\d\d/0\.\d{4}", scores.split()[4])


def test_what_a_report_lacks_is_said_before_anything_is_measured(
    folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit):
        main(["eval", "bicubic", "--data", str(folder), "-o", str(tmp_path / "out")])
    assert "pip install 'sr_zoo[eval]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_sets_lie_in_the_cache_if_not_elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("SR_ZOO_DATA", raising=False)
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path))
    assert data_folder() == tmp_path / "datasets"
    monkeypatch.delenv("SR_ZOO_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    assert data_folder() == tmp_path / "hub" / "sr_zoo" / "datasets"
    monkeypatch.setenv("SR_ZOO_DATA", "")  # as if it were not set
    assert data_folder() == tmp_path / "hub" / "sr_zoo" / "datasets"
    monkeypatch.setenv("SR_ZOO_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "rlfn_s", "--data", "nowhere"], "nowhere"),
        (["eval", "rlfn_s", "--measure", "psnr"], "Unknown measure 'psnr'"),
        (["eval", "rlfn_s", "--dtype", "int8"], "--dtype must be one of"),
        (["eval", "rlfn_s", "--tile", "-3"], "--tile must be"),
        (["eval"], "name at least one"),
    ],
)
def test_wrong_options_are_one_line(arguments, message, folder, capsys, monkeypatch):
    plain = lambda name, scale, **_: create_model(name, scale, pretrained=False)  # noqa: E731
    monkeypatch.setattr("sr_zoo.evaluation.candidates.create_model", plain)
    if "--data" not in arguments:
        arguments = [*arguments, "--data", str(folder)]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_options_take_several_words():
    from sr_zoo.cli.options import _spread

    words = ["a", "b", "--data", "x", "y", "--scale", "2", "3", "--tile", "off", "--data"]
    assert " ".join(_spread(words, ("--data", "--scale"))) == (
        "a b --data x --data y --scale 2 --scale 3 --tile off --data"
    )


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_runs(
    folder, tmp_path, capsys, monkeypatch
):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(module, "_Run", None)
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SystemExit, match="1"):
        main(["eval", "nearest", "--data", str(folder), "-o", str(tmp_path / "taken")])
    assert "taken" in capsys.readouterr().err


def test_a_journal_that_is_no_file_is_named(folder, candidate, tmp_path):
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(OptionError, match=r"journal\.jsonl: cannot be read"):
        evaluate([candidate], [open_folder(folder, 4)], journal=tmp_path / "journal.jsonl")


def test_scores_that_cannot_be_kept_end_the_run(folder, candidate, tmp_path, monkeypatch):
    def full(self, key, record):
        raise FileWriteError("no space left")

    monkeypatch.setattr(module.Journal, "append", full)
    with pytest.raises(FileWriteError, match="no space left"):
        evaluate([candidate], [open_folder(folder, 4)], journal=tmp_path / "journal.jsonl")


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_time_that_is_none_is_refused(folder, candidate, seconds):
    with pytest.raises(OptionError, match="must be above zero seconds"):
        evaluate([candidate], [open_folder(folder, 4)], time_for=seconds)


def test_the_manifest_takes_no_scores_of_what_it_does_not_list(folder, capsys):
    before = manifest_path().stat().st_mtime_ns
    with pytest.raises(SystemExit, match="1"):
        main(["eval", "nearest", "--data", str(folder), "--update-manifest"])
    assert "The manifest has no entry for nearest" in capsys.readouterr().err
    assert manifest_path().stat().st_mtime_ns == before
