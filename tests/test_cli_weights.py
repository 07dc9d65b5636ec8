"""`sr-zoo weights`: what it prints, writes and refuses."""

import zipfile
from dataclasses import replace
from hashlib import sha256

import pytest
import torch

from sr_zoo import create_model, load_model
from sr_zoo.cli import main
from sr_zoo.models.rlfn import RLFN
from sr_zoo.weights.cache import path_of
from sr_zoo.weights.checkpoint import read_checkpoint
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.export import export_entry
from sr_zoo.weights.manifest import Manifest, Manual, load_manifest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "cache"))


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main(["weights", *map(str, arguments)])
    return end.value.code


def test_list_names_what_is_bundled(capsys):
    assert run("list", "--bundled") == 0
    lines = capsys.readouterr().out.splitlines()
    bundled = [entry.id for scale in (2, 3, 4) for entry in load_manifest().bundled(scale)]
    assert sorted(line.split()[0] for line in lines) == sorted(bundled)


def test_list_says_that_nothing_is_named_so(capsys):
    assert run("list", "rlfm*") == 1
    assert "No weights have the id 'rlfm*'. `sr-zoo weights list`" in capsys.readouterr().err


def test_verify_finds_the_bundled_files_good(capsys):
    assert run("verify") == 0
    assert "rlfn_s_x4.sr_zoo: good" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["list", "verify", "fetch"])
def test_a_cache_that_cannot_be_read_is_one_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / ("a" * 300)))
    assert run(command, "rfdn_x4.official") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sr-zoo: ")
    assert "cannot be read: File name too long" in line


def test_a_foreign_file_is_not_imported(tmp_path, capsys):
    (tmp_path / "file.pth").write_bytes(b"something")
    assert run("import", tmp_path / "file.pth") == 1
    assert "none of the files" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_in_an_archive_is_imported(tmp_path, capsys, monkeypatch, packed):
    content = b"weights" * 100
    source = Manual("https://drive.example.org/page", "weights.pth", archive="weights.zip")
    entry = replace(
        load_manifest().entries[0],
        source=source,
        sha256=sha256(content).hexdigest(),
        bytes=len(content),
    )
    monkeypatch.setattr("sr_zoo.weights.by_hand.load_manifest", lambda: Manifest((entry,)))
    with zipfile.ZipFile(tmp_path / "weights.zip", "w", packed) as archive:
        archive.writestr("weights/readme.txt", "read me")
        archive.writestr("weights/other.pth", content[::-1])
        archive.writestr("weights/epoch_9.pth", content)
    assert run("import", tmp_path / "weights.zip") == 0
    assert capsys.readouterr().out == f"{entry.id}: {path_of(entry)}\n"
    assert path_of(entry).read_bytes() == content


def test_archives_without_weights_are_not_imported(tmp_path, capsys):
    size = load_manifest().entries[0].bytes
    with zipfile.ZipFile(tmp_path / "file.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("same size.pth", bytes(size))
        archive.writestr("damaged.pth", bytes(size))
    content = bytearray((tmp_path / "file.zip").read_bytes())
    content[content.rindex(b"damaged.pth", 0, len(content) // 2) + 20] ^= 255
    (tmp_path / "file.zip").write_bytes(content)
    assert run("import", tmp_path / "file.zip") == 1
    assert "none of the files" in capsys.readouterr().err


def test_a_damaged_archive_is_one_line(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "file.zip", "w") as archive:
        archive.writestr("weights.pth", b"weights")
    content = (tmp_path / "file.zip").read_bytes()
    (tmp_path / "file.zip").write_bytes(content.replace(b"PK\x01\x02", b"PK\0\0"))
    assert run("import", tmp_path / "file.zip") == 1
    assert "file.zip is a damaged zip archive: " in capsys.readouterr().err


def test_a_fetch_that_fails_is_one_line_for_each(capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert run("fetch", "rlfn_x?.official") == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["sr-zoo:", "rlfn_x2.official"],
        ["sr-zoo:", "rlfn_x4.official"],
    ]


@pytest.mark.parametrize("name", ["out.safetensors", "out.pth"])
def test_export_gives_the_authors_names(tmp_path, name):
    entry = load_manifest().by_id("rlfn_s_x4.sr_zoo")
    assert run("export", entry.id, "-o", tmp_path / name) == 0
    exported = read_checkpoint(tmp_path / name).tensors
    shipped = read_checkpoint(path_of(entry)).tensors
    returned = converter_of(RLFN).load(exported)
    assert "conv_1.weight" in exported
    assert returned.keys() == shipped.keys()
    assert all(torch.equal(returned[n], t) for n, t in shipped.items())


def test_export_in_our_layout_says_which_network_it_is(tmp_path):
    file = tmp_path / "out.safetensors"
    assert run("export", "rlfn_s_x4.sr_zoo", "-o", file, "--layout", "ours") == 0
    metadata = read_checkpoint(file).metadata
    assert (metadata["id"], metadata["license"]) == ("rlfn_s_x4.sr_zoo", "Apache-2.0")
    own = create_model("rlfn_s", 4, pretrained="sr_zoo")
    exported = load_model(file)
    assert metadata["architecture"] == "rlfn_s"
    assert exported.identity == own.identity
    assert all(map(torch.equal, own.parameters(), exported.parameters()))


@pytest.mark.parametrize("layout", ["ours", "official"])
def test_export_states_no_licence_where_none_is_known(tmp_path, layout):
    entry = replace(load_manifest().by_id("rlfn_s_x4.sr_zoo"), license=None)
    export_entry(entry, tmp_path / "out.safetensors", layout)
    metadata = read_checkpoint(tmp_path / "out.safetensors").metadata
    assert metadata["id"] == entry.id
    assert "license" not in metadata


def test_export_writes_no_weights_under_a_program_s_ending(tmp_path, capsys):
    assert run("export", "rlfn_s_x4.sr_zoo", "-o", tmp_path / "x.onnx") == 1
    assert "does not end in .safetensors or .pth" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_id_is_one_line(capsys):
    assert run("path", "rlfn_x4.offical") == 1
    assert "Did you mean 'rlfn_x4.official'" in capsys.readouterr().err
