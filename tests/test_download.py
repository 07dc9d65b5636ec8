import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sr_zoo.errors import DownloadError
from sr_zoo.evaluation.download import fetch

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
    fetch(served["url"], target, DIGEST)
    fetch(served["url"], target, DIGEST)
    assert target.read_bytes() == CONTENT
    assert len(served["ranges"]) == 1
    assert [path.name for path in target.parent.iterdir()] == ["image.png"]


def test_a_broken_download_goes_on_where_it_stopped(served, tmp_path):
    served["cut"] = 1
    with pytest.raises(DownloadError, match=r"bytes early.*goes on where it stopped"):
        fetch(served["url"], tmp_path / "image.png", DIGEST)
    fetch(served["url"], tmp_path / "image.png", DIGEST)
    assert (tmp_path / "image.png").read_bytes() == CONTENT
    assert served["ranges"] == ["bytes=0-", f"bytes={len(CONTENT) // 2}-"]


def test_another_file_is_refused_and_removed(served, tmp_path):
    with pytest.raises(DownloadError, match=f"its SHA-256 is {DIGEST}, not 0000"):
        fetch(served["url"], tmp_path / "image.png", "0" * 64)
    assert not list(tmp_path.iterdir())


def test_offline_is_obeyed(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        fetch("https://example.invalid/a.png", tmp_path / "a.png", DIGEST)
