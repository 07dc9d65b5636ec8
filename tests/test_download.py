"""Files of which the size is not known beforehand, and networks that are not there."""

import contextlib
import hashlib
import socket
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import huggingface_hub
import pytest

from sr_zoo.errors import DownloadError, OptionError, WeightsIntegrityError
from sr_zoo.weights.download import Remote, download, obstacle

CONTENT = bytes(range(256)) * 64
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; the first `cut` answers break off in the middle."""

    def __init__(self, server_state, *args):
        self.state = server_state
        super().__init__(*args)

    def do_GET(self):
        asked = self.headers.get("Range", "bytes=0-")
        self.state["ranges"].append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        body = CONTENT[start:]
        if self.state["cut"]:
            self.state["cut"] -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def fetch(url, target, sha256=DIGEST):
    download(Remote("image.png", url, sha256), target)


@pytest.fixture
def served():
    state = {"ranges": [], "cut": 0}
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, state)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state["url"] = f"http://127.0.0.1:{server.server_port}/image.png"
        yield state
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once(served, tmp_path):
    target = tmp_path / "folder" / "image.png"
    fetch(served["url"], target)
    fetch(served["url"], target)
    assert target.read_bytes() == CONTENT
    assert len(served["ranges"]) == 1
    assert [path.name for path in target.parent.iterdir()] == ["image.png"]


def test_a_broken_download_goes_on_where_it_stopped(served, tmp_path):
    served["cut"] = 3
    with pytest.raises(
        DownloadError, match=r"image\.png could not be.*goes on where this one stopped"
    ):
        fetch(served["url"], tmp_path / "image.png")
    fetch(served["url"], tmp_path / "image.png")
    assert (tmp_path / "image.png").read_bytes() == CONTENT
    size = len(CONTENT)
    starts = [0, size // 2, size - size // 4, size - size // 8]
    assert served["ranges"] == [f"bytes={start}-" for start in starts]


def test_another_file_is_refused_and_removed(served, tmp_path):
    with pytest.raises(WeightsIntegrityError, match=f"is not 0000.* but {DIGEST}"):
        fetch(served["url"], tmp_path / "here" / "image.png", "0" * 64)
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_is_obeyed(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(DownloadError, match=f"is not on this machine and {variable} is set"):
        fetch("https://example.invalid/a.png", tmp_path / "a.png")


@pytest.fixture
def black_hole():
    """Yield a port of which the queue is full, so that the kernel answers no further knock."""
    with socket.socket() as listener, contextlib.ExitStack() as filling:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            knocker = filling.enter_context(socket.socket())
            knocker.setblocking(False)
            knocker.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_where_packets_vanish_the_error_comes_at_once(black_hole, tmp_path):
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"did not answer within 0\.8 s \(SR_ZOO_TIMEOUT"):
        fetch(f"http://127.0.0.1:{black_hole}/a.png", tmp_path / "a.png")
    assert time.monotonic() - started < 1


def test_an_address_that_leads_nowhere_does_not_stand_in_the_way(black_hole, served, monkeypatch):
    port = urlsplit(served["url"]).port
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each))
        for each in (black_hole, port)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    assert obstacle("http://photos.invalid:1/a.png") == ""


def test_a_proxy_for_everything_is_asked_in_place_of_the_host(black_hole, served, monkeypatch):
    monkeypatch.setenv("all_proxy", served["url"])
    assert obstacle("https://photos.invalid/a.png") == ""


@pytest.mark.parametrize(
    ("variable", "scheme", "said"),
    [("all_proxy", "socks5", "pip install socksio"), ("http_proxy", "socks", "Unknown scheme")],
)
def test_a_proxy_that_the_client_cannot_use_is_an_error_with_a_remedy(
    served, monkeypatch, tmp_path, variable, scheme, said
):
    monkeypatch.setitem(sys.modules, "socksio", None)  # which may be installed
    monkeypatch.setenv(variable, served["url"].replace("http", scheme))
    huggingface_hub.close_session()  # it reads these variables once
    with pytest.raises(DownloadError, match=rf"no connection can be made.*{said}"):
        fetch("http://somewhere.invalid/image.png", tmp_path / "image.png")


def test_a_proxy_without_a_valid_port_is_an_error_with_a_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("https_proxy", "http://proxy:abc")
    with pytest.raises(DownloadError, match=r"proxy for https has no.*'abc'.*HTTPS_PROXY and"):
        fetch("https://somewhere.invalid/image.png", tmp_path / "image.png")


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch, tmp_path):
    never = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait(10) and [])
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"example\.org:443 did not answer"):
        fetch("https://example.org/a.png", tmp_path / "a.png")
    never.set()
    assert time.monotonic() - started < 1


def test_patience_is_a_number(monkeypatch, served, tmp_path):
    monkeypatch.setenv("SR_ZOO_TIMEOUT", "soon")
    with pytest.raises(OptionError, match="SR_ZOO_TIMEOUT must be a number of seconds"):
        fetch(served["url"], tmp_path / "a.png")


class Proxy(BaseHTTPRequestHandler):
    """Serves CONTENT for any address, and refuses to build tunnels."""

    def __init__(self, asked, *args):
        self.asked = asked
        super().__init__(*args)

    def do_GET(self):
        self.asked.append(f"GET {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def do_CONNECT(self):
        self.asked.append(f"CONNECT {self.path}")
        self.send_error(403)

    def log_message(self, *args):
        pass


@pytest.fixture
def proxy(monkeypatch):
    """Yield the requests that a proxy saw; the environment names it for both protocols."""
    asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Proxy, asked)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        huggingface_hub.close_session()  # it reads these variables once
        yield asked
        huggingface_hub.close_session()
        server.shutdown()
        thread.join()


def test_a_proxy_is_asked_in_place_of_the_server(proxy, tmp_path):
    fetch("http://somewhere.invalid/image.png", tmp_path / "image.png")
    assert proxy == ["GET http://somewhere.invalid/image.png"]
    assert (tmp_path / "image.png").read_bytes() == CONTENT


def test_a_proxy_is_asked_for_tunnels(proxy, tmp_path):
    with pytest.raises(DownloadError, match=r"https://somewhere\.invalid/image\.png: 403"):
        fetch("https://somewhere.invalid/image.png", tmp_path / "image.png")
    assert set(proxy) == {"CONNECT somewhere.invalid:443"}


def test_no_proxy_is_asked_for_hosts_that_need_none(proxy, served, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
    fetch(served["url"], tmp_path / "image.png")
    assert (proxy, len(served["ranges"])) == ([], 1)
