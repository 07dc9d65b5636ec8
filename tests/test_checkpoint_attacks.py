"""Files that want to run code or fill the memory do neither."""

import copy
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import sr_zoo
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
    "hub's download": (torch.hub.load_state_dict_from_url, "http://127.0.0.1:9/x.pth"),
    "exec": (exec, "open('executed', 'w')"),
    "import": (__import__, "antigravity"),
    "subprocess": (subprocess.Popen, ["touch", "executed"]),
    "socket": (socket.create_connection, ("127.0.0.1", 9)),
    "a large bytearray": (bytearray, 10**10),
    "a large tensor": (torch.Tensor, 10**5, 10**5),
    "a large storage": (torch.FloatStorage, 10**10),
    "a large tensor by detour": (
        torch._tensor._rebuild_from_type_v2,
        torch.Tensor,
        torch.Tensor,
        (10**5, 10**5),
        {},
    ),
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

    def forbidden(*arguments, **options):
        pytest.fail("torch read a file that should have been refused before")

    def read(path, *, until_torch=False):
        if not until_torch:
            monkeypatch.setattr(torch, "load", forbidden)
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


def test_a_program_is_told_from_weights(watched, tmp_path):
    with zipfile.ZipFile(tmp_path / "program.pt", "w") as archive:  # code is all that torch packs
        archive.writestr("program/data.pkl", pickle.dumps({}))
        archive.writestr("program/code/__torch__.py", "x = 1\n" * 99, zipfile.ZIP_DEFLATED)
        archive.writestr("program/constants.pkl", pickle.dumps(()))
    assert "is a TorchScript program" in watched(tmp_path / "program.pt")


def test_an_old_tar_archive_is_not_unpacked(watched, tmp_path):
    (tmp_path / "storages").write_bytes(b"x")
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        archive.add(tmp_path / "storages", "storages")
    assert "tar archive" in watched(tmp_path / "old.pth")


@pytest.mark.parametrize("content", [b"", b"text", b"<html></html>", bytes(4096)])
def test_what_is_no_weight_file_is_refused(watched, tmp_path, content):
    (tmp_path / "file.pth").write_bytes(content)
    assert "file.pth" in watched(tmp_path / "file.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run `git lfs pull`"),
        (b"<!DOCTYPE html>\n<html lang=en>", "is a web page, not a weight file"),
        (b"\n  <html><body>Sign in</body></html>", "is a web page, not a weight file"),
    ],
)
def test_what_often_lies_in_the_place_of_weights_is_named(watched, tmp_path, content, said):
    (tmp_path / "file.pth").write_bytes(content)
    assert said in watched(tmp_path / "file.pth")


@pytest.mark.parametrize("read", [read_checkpoint, sr_zoo.load_model])
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, read):
    right = Path.open

    def denied(path, *arguments, **options):
        if path.name == "file.pth":
            raise PermissionError(13, "Permission denied", str(path))
        return right(path, *arguments, **options)

    (tmp_path / "file.pth").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(CheckpointError, match=r"file\.pth cannot be read: Permission denied"):
        read(tmp_path / "file.pth")


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("write", [torch.save, legacy])
def test_a_truncated_file_is_refused(watched, tmp_path, write, keep):
    write({"w": torch.zeros(10_000)}, tmp_path / "file.pth")
    content = (tmp_path / "file.pth").read_bytes()
    (tmp_path / "file.pth").write_bytes(content[: int(len(content) * keep)])
    watched(tmp_path / "file.pth", until_torch=True)


@pytest.mark.parametrize("write", [torch.save, save_file])
@pytest.mark.parametrize("keep", [20, 500])  # bytes, of a header's thousands
def test_a_file_of_which_only_the_beginning_came_is_called_cut(watched, tmp_path, write, keep):
    write({f"layer{i}.weight": torch.zeros(9) for i in range(100)}, tmp_path / "file.pth")
    (tmp_path / "file.pth").write_bytes((tmp_path / "file.pth").read_bytes()[:keep])
    assert watched(tmp_path / "file.pth").endswith("file.pth is cut short: fetch it again.")


class Claim:
    """Pickles as a storage of torch's, with any number of numbers."""

    def __init__(self, count, storage=torch.FloatStorage, key="0"):
        self.identity = ("storage", storage, key, "cpu", count)


class Rebuilt:
    """Pickles as a tensor on a claimed storage."""

    def __init__(self, claim, shape, stride):
        self.arguments = (claim, 0, shape, stride, False, OrderedDict())

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


class ClaimPickler(pickle.Pickler):
    def __init__(self, stream, suffix):
        super().__init__(stream, protocol=2)
        self.suffix = suffix

    def persistent_id(self, obj):
        return obj.identity + self.suffix if isinstance(obj, Claim) else None


def pickled(*contents, suffix=()):
    stream = BytesIO()
    for content in contents:
        ClaimPickler(stream, suffix).dump(content)
    return stream.getvalue()


def as_archive(content, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(content))
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", bytes(16))
        archive.writestr("archive/version", "3")


def as_legacy(content, path):
    magic, system = torch.serialization.MAGIC_NUMBER, {"little_endian": True}
    parts = pickled(magic, 1001, system, content, ["0"], suffix=(None,))
    path.write_bytes(parts + (4).to_bytes(8, "little") + bytes(16))


@pytest.mark.parametrize("write", [as_archive, as_legacy])
def test_an_honest_file_made_by_hand_is_read(tmp_path, write):
    write({"w": Rebuilt(Claim(4), (2, 2), (2, 1))}, tmp_path / "file.pth")
    assert torch.equal(read_checkpoint(tmp_path / "file.pth").tensors["w"], torch.zeros(2, 2))


@pytest.mark.parametrize("write", [as_archive, as_legacy])
@pytest.mark.parametrize(
    "content",
    [
        {"w": Rebuilt(Claim(10**12), (10**6, 10**6), (10**6, 1))},
        {"w": Rebuilt(Claim(10**12), (1,), (1,))},
        {"w": Rebuilt(Claim(4), (10**6, 10**6), (0, 0))},
        {"w": Rebuilt(Claim(4), (-1, -4), (1, 1))},
        {"w": Rebuilt(Claim(-4), (2,), (1,))},
        {"w": [Rebuilt(Claim(40, key=str(i)), (40,), (1,)) for i in range(50)]},
    ],
    ids=["storage", "unused", "stride 0", "negative", "negative storage", "sum"],
)
def test_claims_of_more_than_there_is_are_refused(watched, tmp_path, content, write):
    write(content, tmp_path / "claim.pth")
    assert "claims" in watched(tmp_path / "claim.pth")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02}r" + (2**31).to_bytes(4, "little") + b".",
        b"\x80\x05\x96" + (10**10).to_bytes(8, "little") + b".",
        b"\x80\x05\x8e" + (10**10).to_bytes(8, "little") + b".",
        b"\x80\x04\x95" + (10**10).to_bytes(8, "little") + b"}.",
        b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"1.",
    ],
    ids=["memo", "bytearray", "bytes", "frame", "number"],
)
def test_pickles_that_claim_length_are_refused(watched, tmp_path, content):
    (tmp_path / "file.pth").write_bytes(content)
    watched(tmp_path / "file.pth")


def test_calls_inside_calls_without_end_are_refused(watched, tmp_path):
    call, depth = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x00", 50_000
    content = b"\x80\x02" + call + b"h\x00N" * depth + b")" + b"\x87" * depth + b"R."
    (tmp_path / "file.pth").write_bytes(content)
    watched(tmp_path / "file.pth")


def test_two_members_on_the_same_bytes_are_refused(watched, tmp_path):
    content = {"w": Rebuilt(Claim(4), (4,), (1,))}
    as_archive(content, tmp_path / "file.pth")
    with zipfile.ZipFile(tmp_path / "file.pth", "a") as archive:
        (member,) = (m for m in archive.infolist() if m.filename == "archive/data/0")
        for number in range(1, 2000):
            twin = copy.copy(member)
            twin.filename = f"archive/data/{number}"
            twin.file_size = twin.compress_size = 10**6
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    assert "compressed archive" in watched(tmp_path / "file.pth")


@pytest.mark.parametrize("prefix", ["module.", "net."])
def test_prefixes_without_end_are_not_followed(tmp_path, prefix):
    save_file({f"{prefix * 100_000}w": torch.zeros(1)}, tmp_path / "file.safetensors")
    checkpoint = read_checkpoint(tmp_path / "file.safetensors")
    assert len(list(checkpoint.readings())) < 10
