"""A full disk and a folder that is read-only end in one sentence, with what was there intact."""

import errno
import os
import re
import resource
import subprocess
from contextlib import contextmanager
from importlib import import_module

import numpy as np
import pytest

import sr_zoo
from sr_zoo.cli import main
from sr_zoo.errors import DownloadError, FileWriteError, OptionError
from sr_zoo.evaluation.benchmarks import open_dataset
from sr_zoo.evaluation.journal import Journal
from sr_zoo.export import export_model
from sr_zoo.export.exporting import FORMATS
from sr_zoo.imaging import Picture, read_image, write_image
from sr_zoo.inference import huge
from sr_zoo.inference.files import upscale_files
from sr_zoo.training.data import open_images
from sr_zoo.training.recipe import Data
from sr_zoo.weights import cache
from sr_zoo.weights.cache import Converted
from sr_zoo.weights.fetch import fetch
from sr_zoo.weights.manifest import load_manifest

ROOM = 24_000  # bytes; the small file fits, the large ones do not
SMALL, LARGE = 8, 100  # sides


@contextmanager
def mounted(folder, options):
    """A file system of its own in `folder`, which takes an administrator."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def file_size_limited():
    """No file can grow beyond the room: what an ordinary user can have instead of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def photos(tmp_path):
    """A folder of a small image between two large ones."""
    for name, side in (("a.png", LARGE), ("b.png", SMALL), ("c.tif", LARGE)):
        pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        write_image(Picture(pixels), tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture(params=["full", "limited"])
def full(tmp_path, request):
    """A folder with little room, in which there is something already."""
    folder = tmp_path / "out"
    folder.mkdir()
    with mounted(folder, f"size={ROOM}") if request.param == "full" else file_size_limited():
        (folder / "a.png").write_bytes(b"earlier")
        yield folder


def upscale(*arguments):
    """Return the exit code of the command line."""
    with pytest.raises(SystemExit) as ended:
        main(["upscale", "--model", "nearest", "--scale", "2", *map(str, arguments)])
    return ended.value.code


def complaints(capsys):
    """Return the lines on standard error about single files."""
    lines = capsys.readouterr().err.splitlines()
    return sorted(line for line in lines if line.startswith("sr-zoo: ") and "done," not in line)


def test_a_folder_run_fills_the_disk(photos, full, capsys):
    (photos / "b.png").rename(photos.parent / "b.png")
    assert upscale(photos, "-o", full) == 1
    for line, name in zip(complaints(capsys), ("a.png", "c.tif"), strict=True):
        assert f"{full / name}: cannot be written (" in line
        assert "nothing was changed" in line
    assert (full / "a.png").read_bytes() == b"earlier"
    assert upscale(photos.parent / "b.png", "-o", full) == 0
    assert read_image(full / "b.png").size == (2 * SMALL, 2 * SMALL)
    left = [path.name for path in full.iterdir() if not path.name.endswith(".jsonl")]
    assert sorted(left) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_strips_fill_the_disk(photos, full, name, monkeypatch):
    pytest.importorskip("pyvips", reason="huge images are streamed through libvips")
    monkeypatch.setattr(huge, "STREAMED_PIXELS", 1000)
    monkeypatch.setattr(huge, "LARGEST_SIDE", 16)
    (full / name).write_bytes(b"earlier")
    upscaler = sr_zoo.Upscaler("nearest", 8)
    (outcome,) = upscale_files(upscaler, [photos / "c.tif"], full / name)
    assert outcome.status == "failed"
    assert f"{full / name}: cannot be written (" in outcome.sentence
    assert "\n" not in outcome.sentence
    assert (full / name).read_bytes() == b"earlier"
    assert {path.name for path in full.iterdir()} == {"a.png", name}


@pytest.mark.parametrize("full", ["full"], indirect=True)
def test_a_disk_that_was_full_before(photos, full, capsys):
    with (full / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(ROOM)) == ROOM:
            pass
    assert upscale(photos, "-o", full) == 1
    (line,) = complaints(capsys)
    assert f"{full}: cannot be written to (No space left on device)" in line
    assert (full / "a.png").read_bytes() == b"earlier"


def test_a_read_only_folder(photos, tmp_path, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    with mounted(folder, "size=1m"):
        (folder / "a.png").write_bytes(b"earlier")
        remount = ["mount", "-o", "remount,ro", str(folder)]
        subprocess.run(remount, check=True, capture_output=True)
        assert upscale(photos, "-o", folder) == 1
        assert upscale(photos / "a.png", "-o", folder / "a.png") == 1
        assert upscale(photos / "a.png", "-o", folder / "new" / "a.png") == 1
        assert (folder / "a.png").read_bytes() == b"earlier"
        assert [path.name for path in folder.iterdir()] == ["a.png"]
    said = complaints(capsys)
    assert len(said) == 3
    assert all("Read-only file system" in line and str(folder) in line for line in said)


def test_a_report_that_cannot_be_kept_is_told_before_anything_is_upscaled(photos, tmp_path, capsys):
    folder = tmp_path / "reports"
    folder.mkdir()
    with mounted(folder, "ro"):
        assert upscale(photos, "-o", tmp_path / "big", "--report", folder / "report.json") == 1
    (line,) = complaints(capsys)
    assert f"{folder}: cannot be written to (Read-only file system)" in line
    assert not (tmp_path / "big").exists()


def test_learning_from_one_image_begins_where_it_can_be_kept(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sr_zoo.training.zero_shot.zero_shot", lambda *_, **__: pytest.fail("ran"))
    folder = tmp_path / "out"
    folder.mkdir()
    with mounted(folder, "ro"), pytest.raises(SystemExit, match="1"):
        main(["zero-shot", str(photos / "a.png"), "-o", str(folder / "a.png")])
    assert f"{folder}: cannot be written to (Read-only file system)" in capsys.readouterr().err


def test_a_read_only_folder_is_found_before_long_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sr_zoo.evaluation.speed.race", lambda *_, **__: pytest.fail("raced"))
    monkeypatch.setattr("sr_zoo.inference.runtimes.eager.shutil.which", lambda name: name)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    cached = tmp_path / "cache" / "runtimes" / "torch"
    cached.mkdir(parents=True)
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "cache"))
    with mounted(cached, "ro"):
        with pytest.raises(SystemExit, match="1"):
            main(["bench", "rlfn_s", "--untrained", "-o", str(cached)])
        said = rf"{cached}: cannot be written to \(Read-only file system\)"
        assert re.search(said, capsys.readouterr().err)
        with pytest.raises(FileWriteError, match=said):
            sr_zoo.Upscaler("nearest", runtime="compile")


NO_FOLDER = r"cannot be (made|written to|kept) .*; SR_ZOO_CACHE names another folder"


@pytest.fixture
def blocked(tmp_path, monkeypatch):
    """A cache that nothing can be written to, by no one: a file is where its folder would be."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr("sr_zoo.inference.runtimes.eager.shutil.which", lambda name: name)
    return tmp_path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "compile"])
def test_a_runtime_says_what_names_another_cache(runtime, blocked):
    with pytest.raises(FileWriteError, match=NO_FOLDER):
        sr_zoo.Upscaler("nearest", runtime=runtime)


def test_fetching_says_what_names_another_cache(blocked, monkeypatch):
    entry = load_manifest().by_id("rlfn_x4.official")
    with pytest.raises(DownloadError, match=NO_FOLDER):
        fetch(entry, cache.path_of(entry))
    with pytest.raises(DownloadError, match=NO_FOLDER):
        open_dataset("Set5", 4)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    monkeypatch.setattr("sr_zoo.weights.hub.obstacle", lambda _: "")
    with pytest.raises(DownloadError, match=NO_FOLDER):
        sr_zoo.load_model("hf-hub:somebody/network")


def test_importing_says_what_names_another_cache(blocked, monkeypatch):
    entry = load_manifest().by_id("rlfn_s_x4.official")
    monkeypatch.setattr(cache, "_matches", lambda *_: True)
    with pytest.raises(FileWriteError, match=NO_FOLDER):
        cache.put(entry, cache.BUNDLED / "rlfn_s_x4.safetensors")


def weights(*arguments):
    """Return the exit code of `sr-zoo weights`."""
    with pytest.raises(SystemExit) as ended:
        main(["weights", *map(str, arguments)])
    return ended.value.code


@pytest.mark.parametrize("name", ["out.pth", "out.safetensors"])
def test_exported_weights_fill_the_disk(full, name, capsys):
    (full / name).write_bytes(b"earlier")
    assert weights("export", "rlfn_s_x4.sr_zoo", "-o", full / name) == 1
    (line,) = complaints(capsys)
    assert f"{full / name}: cannot be written (" in line
    assert (full / name).read_bytes() == b"earlier"
    assert {path.name for path in full.iterdir()} == {"a.png", name}


def test_a_saved_network_fills_the_disk(full):
    network = sr_zoo.create_model("rlfn_s", 4, pretrained=False)
    (full / "model.safetensors").write_bytes(b"earlier")
    with pytest.raises(FileWriteError, match=r"model\.safetensors: cannot be written \("):
        network.save_pretrained(full)
    assert (full / "model.safetensors").read_bytes() == b"earlier"
    assert {path.name for path in full.iterdir()} == {"a.png", "model.safetensors"}
    with pytest.raises(FileWriteError, match=r"a\.png: the folder cannot be made \(File exists\)"):
        network.save_pretrained(full / "a.png")


def test_imported_weights_fill_the_disk(full, monkeypatch, capsys):
    """The cache is what is full; loading weights of it goes on."""
    entry = load_manifest().by_id("rlfn_s_x4.official")
    monkeypatch.setenv("SR_ZOO_CACHE", str(full))
    monkeypatch.setattr(cache, "_matches", lambda *_: True)
    monkeypatch.setattr("sr_zoo.weights.by_hand.sha256_of", lambda *_: entry.sha256)
    assert weights("import", cache.BUNDLED / "rlfn_s_x4.safetensors") == 1
    (line,) = complaints(capsys)
    assert f"{cache.path_of(entry)}: cannot be written (" in line
    assert not [path for path in full.rglob("*") if path.is_file() and path.name != "a.png"]
    Converted(entry, "rules").write(bytes(10 * ROOM))
    assert Converted(entry, "rules").read() is None


def test_weights_are_as_readable_as_any_file(tmp_path):
    before = os.umask(0o022)
    try:
        sr_zoo.create_model("rlfn_s", 4, pretrained=False).save_pretrained(tmp_path)
        assert weights("export", "rlfn_s_x4.sr_zoo", "-o", tmp_path / "out.safetensors") == 0
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o644}, modes


def test_an_evaluation_goes_on_with_what_its_journal_had_room_for(full):
    journal = Journal(full / "journal.jsonl")
    journal.append("small", {"value": 1})
    with pytest.raises(FileWriteError, match=r"journal.jsonl: cannot be written .*goes on with"):
        journal.append("large", {"value": "x" * 2 * ROOM})
    again = Journal(full / "journal.jsonl")
    assert again.find("small") == {"value": 1}
    assert again.find("large") is None


@pytest.mark.parametrize("to", FORMATS)
def test_an_exported_file_fills_the_disk(full, to):
    network = sr_zoo.create_model("fsrcnn", 2, pretrained=False)
    kept = full / f"network{import_module(FORMATS[to]).SUFFIX}"
    kept.write_bytes(b"earlier")
    with pytest.raises(FileWriteError, match=r"network.*: cannot be written \("):
        export_model(network, kept, to=to)
    assert kept.read_bytes() == b"earlier"
    assert {path.name for path in full.iterdir()} == {"a.png", kept.name}


def test_decoded_images_fill_the_disk(photos, full):
    """A run does not go on with those of its images that there is room for."""
    with pytest.raises(OptionError, match=r"cannot be kept: .*cannot be written \(.*SR_ZOO_CACHE"):
        open_images(Data(train=(str(photos),), patch_size=SMALL), 2, cache=full / "training")
    assert not list((full / "training").iterdir())
