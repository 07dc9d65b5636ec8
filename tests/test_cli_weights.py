"""`sr-zoo weights`: what it prints, writes and refuses."""

import pytest
import torch

from sr_zoo.cli import main
from sr_zoo.models.rlfn import RLFN
from sr_zoo.weights.checkpoint import read_checkpoint
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.manifest import load_manifest


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


def test_verify_finds_the_bundled_files_good(capsys):
    assert run("verify") == 0
    assert "rlfn_s_x4.sr_zoo: good" in capsys.readouterr().out


def test_a_foreign_file_is_not_imported(tmp_path, capsys):
    (tmp_path / "file.pth").write_bytes(b"something")
    assert run("import", tmp_path / "file.pth") == 1
    assert "none of the files" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.safetensors", "out.pth"])
def test_export_gives_the_authors_names(tmp_path, name):
    entry = load_manifest().by_id("rlfn_s_x4.sr_zoo")
    assert run("export", entry.id, "-o", tmp_path / name) == 0
    exported = read_checkpoint(tmp_path / name).tensors
    from sr_zoo.weights.cache import path_of

    shipped = read_checkpoint(path_of(entry)).tensors
    returned = converter_of(RLFN).load(exported)
    assert "conv_1.weight" in exported
    assert returned.keys() == shipped.keys()
    assert all(torch.equal(returned[n], t) for n, t in shipped.items())


def test_an_unknown_id_is_one_line(capsys):
    assert run("path", "rlfn_x4.offical") == 1
    assert "Did you mean 'rlfn_x4.official'" in capsys.readouterr().err
