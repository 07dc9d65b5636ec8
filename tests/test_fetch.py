"""Fetching against a real server on the loopback address that answers as the Hub does, or badly."""

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo.errors import DownloadError, OptionError, WeightsIntegrityError
from sr_zoo.models.rlfn import RLFN
from sr_zoo.registry import spec_of
from sr_zoo.weights.cache import locate, path_of, put
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.fetch import address_of
from sr_zoo.weights.loading import load_entry_into
from sr_zoo.weights.manifest import Hub, Manifest, Manual, Url, load_manifest

COMMIT = "0" * 40
CONTENT = bytes(range(256)) * 2048  # 512 KiB
TEMPLATE = load_manifest().by_id("rlfn_x4.official")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        getattr(self, self.server.behaviour)()

    def send(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        body = self.server.content
        wanted = self.headers.get("Range")
        if wanted is None:
            return self.send(200, body, ETag='"x"', X_Repo_Commit=COMMIT, Accept_Ranges="bytes")
        first = int(wanted.removeprefix("bytes=").rstrip("-"))
        part = f"bytes {first}-{len(body) - 1}/{len(body)}"
        return self.send(206, body[first:], Content_Range=part)

    def redirect(self):
        if self.path.startswith("/cdn"):
            return self.good()
        return self.send(302, b"", Location="/cdn/file", X_Linked_Size=len(self.server.content))

    def no_ranges(self):
        self.send(200, self.server.content)

    def page(self):
        self.send(200, b"<html>log in</html>", Content_Type="text/html; charset=utf-8")

    def busy_once(self):
        if len(self.server.requests) == 1:
            return self.send(429, b"")
        return self.good()

    def always_busy(self):
        self.send(500, b"")

    def breaks_off_once(self):
        if len(self.server.requests) > 1:
            return self.good()
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[:100_000])
        self.close_connection = True
        return None

    def endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(64):
                self.wfile.write(self.server.content)
        except OSError:
            pass
        self.close_connection = True

    def slow(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        try:
            for start in range(0, len(self.server.content), 16384):
                self.wfile.write(self.server.content[start : start + 16384])
                time.sleep(0.01)
        except OSError:
            self.close_connection = True

    def missing(self):
        self.send(404, b"")

    def gated(self):
        self.send(401, b"")


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.behaviour, server.content, server.requests = "good", CONTENT, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, server):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SR_ZOO_MIRROR", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


def entry_for(content=CONTENT, source=None):
    return replace(
        TEMPLATE,
        source=source or Url("https://example.org/x/file.pth"),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )


def kept(cache):
    return sorted(p.name for p in cache.rglob("*") if p.is_file() and not p.name.endswith(".lock"))


@pytest.mark.parametrize("behaviour", ["good", "redirect", "busy_once", "breaks_off_once", "slow"])
def test_a_file_is_fetched_once_and_verified(server, cache, behaviour):
    server.behaviour = behaviour
    entry = entry_for()
    assert locate(entry).read_bytes() == CONTENT
    asked = len(server.requests)
    assert locate(entry).read_bytes() == CONTENT
    assert len(server.requests) == asked
    assert kept(cache) == ["file.pth"]


def test_a_mirror_keeps_host_and_path(server):
    locate(entry_for())
    assert server.requests[0][0] == "/example.org/x/file.pth"


def test_the_hub_is_asked_for_the_pinned_revision(server):
    server.behaviour = "redirect"
    locate(entry_for(source=Hub("some/repo", COMMIT, "model.safetensors")))
    assert server.requests[0][0] == f"/some/repo/resolve/{COMMIT}/model.safetensors"


@pytest.mark.parametrize("behaviour", ["good", "no_ranges"])
def test_what_a_killed_process_left_is_continued(server, behaviour):
    entry = entry_for()
    path = path_of(entry)
    path.parent.mkdir(parents=True)
    path.with_name(f".{path.name}.part").write_bytes(CONTENT[:300_000])
    server.behaviour = behaviour
    assert locate(entry).read_bytes() == CONTENT
    assert server.requests[0][1] == "bytes=300000-"


def test_a_damaged_rest_of_an_earlier_try_is_fetched_anew(server):
    entry = entry_for()
    path = path_of(entry)
    path.parent.mkdir(parents=True)
    path.with_name(f".{path.name}.part").write_bytes(bytes(300_000))
    assert locate(entry).read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_fetched_anew(server):
    entry = entry_for()
    locate(entry).write_bytes(b"damaged")
    assert locate(entry).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "address", ["mirror.local", "/mnt/mirror", "https://mirror.local:abc", "ftp://mirror.local"]
)
@pytest.mark.parametrize(
    ("variable", "source"),
    [
        ("SR_ZOO_MIRROR", Url("https://example.org/x/file.pth")),
        ("HF_ENDPOINT", Hub("some/repo", COMMIT, "model.safetensors")),
    ],
)
def test_a_mirror_that_is_no_address_is_named(monkeypatch, variable, source, address):
    monkeypatch.setenv(variable, address)
    with pytest.raises(OptionError, match=rf"{variable}='{address}' is no .*form https://host"):
        locate(entry_for(source=source))


def test_an_empty_variable_names_no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SR_ZOO_CACHE", "")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert path_of(entry_for()).is_relative_to(tmp_path / "sr_zoo")


@pytest.mark.parametrize(
    ("behaviour", "content", "error", "words"),
    [
        ("page", CONTENT, WeightsIntegrityError, "a web page instead of the 524288 bytes"),
        ("endless", CONTENT, WeightsIntegrityError, "more than the 524288 bytes"),
        ("good", CONTENT[::-1], WeightsIntegrityError, "SHA-256 is not"),
        ("good", CONTENT[:-1], WeightsIntegrityError, "524287 bytes instead of the 524288"),
        ("missing", CONTENT, DownloadError, "answers 404"),
        ("gated", CONTENT, DownloadError, "HF_TOKEN"),
        ("always_busy", CONTENT, DownloadError, "answers 500"),
    ],
)
def test_what_is_not_the_file_leaves_nothing(server, cache, behaviour, content, error, words):
    server.behaviour, server.content = behaviour, content
    with pytest.raises(error, match=words):
        locate(entry_for())
    assert kept(cache) == []


@pytest.mark.parametrize("how", ["refused", "offline"])
def test_without_a_network_the_error_comes_at_once_and_helps(monkeypatch, how):
    if how == "offline":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    else:
        monkeypatch.setenv("SR_ZOO_MIRROR", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"sr-zoo weights fetch rlfn_x4\.official"):
        locate(entry_for())
    assert time.monotonic() - started < 1


def test_a_file_that_only_a_browser_can_get_says_where_to_put_it():
    entry = entry_for(source=Manual("https://drive.example.org/page", "weights.pth"))
    with pytest.raises(DownloadError, match=r"drive\.example\.org/page.*weights import weights"):
        locate(entry)


def test_a_wrong_file_in_that_place_is_not_taken():
    entry = entry_for(source=Manual("https://drive.example.org/page", "weights.pth"))
    path_of(entry).parent.mkdir(parents=True)
    path_of(entry).write_bytes(b"<html>scanned for viruses</html>")
    with pytest.raises(DownloadError, match=r"The file that is there now is another one"):
        locate(entry)


def test_what_lies_in_an_archive_is_asked_for_by_the_archives_name():
    source = Manual("https://drive.example.org/page", "weights.pth", archive="all weights.zip")
    with pytest.raises(DownloadError, match=r"get all weights\.zip .* import 'all weights\.zip'"):
        locate(entry_for(source=source))


@pytest.mark.parametrize("model", ["dat", "imdn"])
def test_weights_that_cannot_be_had_are_missed_before_the_network_is_built(monkeypatch, model):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("sr_zoo.api.build", lambda *_: pytest.fail("the network was built"))
    with pytest.raises(DownloadError, match=f"{model}_x4.official"):
        sr_zoo.create_model(model, 4)


def test_threads_that_want_the_same_file_fetch_it_once(server):
    server.behaviour = "slow"
    entry = entry_for()
    threads = [threading.Thread(target=locate, args=(entry,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1


FETCHER = """
import sys
from dataclasses import replace
from sr_zoo.weights.cache import locate
from sr_zoo.weights.manifest import Url, load_manifest
entry = replace(load_manifest().by_id("rlfn_x4.official"), sha256=sys.argv[1],
                bytes=int(sys.argv[2]), source=Url("https://example.org/x/file.pth"))
print("go", flush=True)
locate(entry)
"""


def test_processes_that_want_the_same_file_fetch_it_once(server):
    server.behaviour = "slow"
    entry = entry_for()
    command = [sys.executable, "-c", FETCHER, entry.sha256, str(entry.bytes)]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert path_of(entry).read_bytes() == CONTENT
    assert len(server.requests) == 1


SET_FETCHER = """
import sys
from pathlib import Path
from sr_zoo.evaluation import benchmarks
benchmarks.IMAGES = Path(sys.argv[1])
print(len(benchmarks.open_dataset("Set5", 4).samples))
"""


def test_processes_that_want_the_same_data_set_fetch_it_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_DATA", str(tmp_path / "sets"))
    image = io.BytesIO()
    Image.effect_noise((256, 256), 50).save(image, "PNG")
    server.behaviour, server.content = "slow", image.getvalue()
    digest = hashlib.sha256(server.content).hexdigest()
    url = f"http://127.0.0.1:{server.server_port}/{{number}}_HR.png"
    facts = {"Set5": {"url": url, "license": "none", "sha256": {"2": [digest] * 5}}}
    (tmp_path / "sets.json").write_text(json.dumps(facts))
    command = [sys.executable, "-c", SET_FETCHER, tmp_path / "sets.json"]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in processes] == ["5\n", "5\n"]
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    "kills", [4, pytest.param(200, marks=pytest.mark.slow)], ids=["4 kills", "200 kills"]
)
def test_a_killed_download_never_leaves_a_file_that_loads(server, kills):
    server.behaviour = "slow"
    entry = entry_for()
    for number in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", FETCHER, entry.sha256, str(entry.bytes)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ,
        )
        process.stdout.readline()
        time.sleep((number % 20) * 0.025)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        path = path_of(entry)
        if path.exists():
            assert path.read_bytes() == CONTENT
            path.unlink()
    server.behaviour = "good"
    assert locate(entry).read_bytes() == CONTENT


def test_a_warm_cache_needs_neither_the_network_nor_the_original(server, tmp_path):
    torch.manual_seed(0)
    network = spec_of("rlfn").network(scale=4)
    torch.save(converter_of(RLFN).save(network.state_dict()), tmp_path / "file.pth")
    server.content = (tmp_path / "file.pth").read_bytes()
    entry = entry_for(server.content)
    load_entry_into(spec_of("rlfn").network(scale=4), entry)
    path_of(entry).unlink()
    server.behaviour = "missing"
    again = spec_of("rlfn").network(scale=4)
    load_entry_into(again, entry)
    assert all(torch.equal(t, again.state_dict()[n]) for n, t in network.state_dict().items())
    assert len(server.requests) == 1


def test_a_warm_cache_opens_no_socket(tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = spec_of("rlfn").network(scale=4)
    torch.save(converter_of(type(network)).save(network.state_dict()), tmp_path / "rlfn_x4.pth")
    entry = replace(entry_for((tmp_path / "rlfn_x4.pth").read_bytes()), source=TEMPLATE.source)
    monkeypatch.setattr("sr_zoo.api.load_manifest", lambda: Manifest((entry,)))
    put(entry, tmp_path / "rlfn_x4.pth")
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, lambda *_, **__: pytest.fail("a socket was opened"))
    before = torch.get_rng_state()
    for _ in range(2):  # from the authors' file, then from its conversion
        loaded = sr_zoo.create_model("rlfn", 4)
        assert all(torch.equal(t, loaded.state_dict()[n]) for n, t in network.state_dict().items())
    assert torch.equal(before, torch.get_rng_state())  # no weights were drawn to be overwritten


def test_a_damaged_conversion_is_made_again(server, cache, tmp_path):
    network = spec_of("rlfn").network(scale=4)
    torch.save(converter_of(RLFN).save(network.state_dict()), tmp_path / "file.pth")
    server.content = (tmp_path / "file.pth").read_bytes()
    entry = entry_for(server.content)
    load_entry_into(network, entry)
    (converted,) = cache.glob("converted/*/*.safetensors")
    converted.write_bytes(b"damaged")
    load_entry_into(network, entry)
    (converted,) = cache.glob("converted/*/*.safetensors")
    assert converted.stat().st_size > 1_000_000


def test_without_a_mirror_the_address_is_that_of_the_manifest(monkeypatch):
    monkeypatch.delenv("SR_ZOO_MIRROR")
    monkeypatch.delenv("HF_ENDPOINT")
    assert address_of(TEMPLATE) == TEMPLATE.source.url
    hub = entry_for(source=Hub("a/b", COMMIT, "c"))
    assert address_of(hub) == f"https://huggingface.co/a/b/resolve/{COMMIT}/c"
