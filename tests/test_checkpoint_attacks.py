"""Files that want to run code or fill the memory do neither."""

import os
import pickle
import sys
import tarfile
import tracemalloc
import zipfile

import pytest
import torch

from sr_zoo.errors import CheckpointError
from sr_zoo.weights.checkpoint import read_checkpoint

WATCHED = ("subprocess", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket", "open")
_watch: dict[str, object] = {"path": None, "seen": []}


def _audit(event, arguments):
    if _watch["path"] is None or not event.startswith(WATCHED):
        return
    if event == "open":
        name = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else ""
        if name == _watch["path"] or name.startswith((sys.prefix, sys.base_prefix)):
            return
    _watch["seen"].append((event, arguments))


sys.addaudithook(_audit)


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


ATTACKS = {
    "os.system": (os.system, "touch executed"),
    "eval": (eval, "open('executed', 'w')"),
    "getattr": (getattr, "text", "upper"),
    "torch.load": (torch.load, "other.pth"),
    "hub": (torch.hub.load, "owner/repo", "model"),
}


def legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def raw_pickle(content, path):
    path.write_bytes(pickle.dumps(content))


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.zeros(1)}, tmp_path / "good.pth")
    read_checkpoint(tmp_path / "good.pth")  # whatever is imported late is imported now

    def read(path):
        _watch["path"], _watch["seen"] = str(path), []
        tracemalloc.start()
        try:
            with pytest.raises(CheckpointError) as caught:
                read_checkpoint(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            _watch["path"] = None
        assert _watch["seen"] == []
        assert peak < 32 << 20
        assert not (tmp_path / "executed").exists()
        return str(caught.value)

    return read


@pytest.mark.parametrize("write", [torch.save, legacy, raw_pickle])
@pytest.mark.parametrize("attack", ATTACKS)
def test_code_in_a_file_is_not_run(watched, tmp_path, attack, write):
    write({"state_dict": Calls(*ATTACKS[attack])}, tmp_path / "attack.pth")
    message = watched(tmp_path / "attack.pth")
    assert "attack.pth" in message


def test_the_forbidden_name_is_named(watched, tmp_path):
    torch.save({"x": Calls(os.system, "touch executed")}, tmp_path / "attack.pth")
    assert "posix.system" in watched(tmp_path / "attack.pth")


def test_a_zip_bomb_is_not_unpacked(watched, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(64 << 20))
        archive.writestr("archive/version", "3")
    assert "compressed" in watched(tmp_path / "bomb.pth")


def test_an_old_tar_archive_is_not_unpacked(watched, tmp_path):
    (tmp_path / "storages").write_bytes(b"x")
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        archive.add(tmp_path / "storages", "storages")
    assert "tar archive" in watched(tmp_path / "old.pth")


@pytest.mark.parametrize("content", [b"", b"text", b"<html></html>", bytes(4096)])
def test_what_is_no_weight_file_is_refused(watched, tmp_path, content):
    (tmp_path / "file.pth").write_bytes(content)
    assert "file.pth" in watched(tmp_path / "file.pth")


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("write", [torch.save, legacy])
def test_a_truncated_file_is_refused(watched, tmp_path, write, keep):
    write({"w": torch.zeros(10_000)}, tmp_path / "file.pth")
    content = (tmp_path / "file.pth").read_bytes()
    (tmp_path / "file.pth").write_bytes(content[: int(len(content) * keep)])
    watched(tmp_path / "file.pth")
