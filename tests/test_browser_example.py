"""The example for browsers gives the pixels of `sr_zoo.upscale`, in headless Chromium."""

import functools
import http.server
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import sr_zoo
from sr_zoo.export import export_model

EXAMPLE = Path(__file__).parents[1] / "examples" / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 120  # seconds
WIDTH, HEIGHT = 31, 23

# the page's own head, and in place of its body a picture that is known here too
PAGE = """{head}<body><script type="module">
import {{ load, upscale }} from "./upscale.js";
const pixels = new Uint8ClampedArray(await (await fetch("pixels")).arrayBuffer());
try {{
  const image = await upscale(await load("network.onnx"), new ImageData(pixels, {width}, {height}));
  await fetch(`done/${{image.width}}x${{image.height}}`, {{ method: "POST", body: image.data }});
}} catch (error) {{
  await fetch("failed", {{ method: "POST", body: String(error) }});
}}
</script></body>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and keeps what the page posts."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.server.answers.append((self.path, body))
        self.server.answered.set()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.answers, server.answered = [], threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(
    not (EXAMPLE / "node_modules" / "onnxruntime-web").is_dir(),
    reason="onnxruntime-web is absent: npm install in examples/browser",
)
def test_the_browser_gives_the_same_pixels(server, tmp_path):
    torch.manual_seed(0)
    network = sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo")
    export_model(network, tmp_path / "network.onnx", to="onnx", sizes=())
    (tmp_path / "node_modules").symlink_to(EXAMPLE / "node_modules")
    shutil.copy(EXAMPLE / "upscale.js", tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    picture[..., 3] = 255
    (tmp_path / "pixels").write_bytes(picture.tobytes())
    head = (EXAMPLE / "index.html").read_text().partition("<body>")[0]
    (tmp_path / "test.html").write_text(PAGE.format(head=head, width=WIDTH, height=HEIGHT))
    quiet = ("quiet", "no-first-run", "disable-background-networking", "disable-component-update")
    with subprocess.Popen(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-sync"),
            *(f"--{option}" for option in quiet),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"http://127.0.0.1:{server.server_port}/test.html",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        try:
            assert server.answered.wait(PATIENCE), "the page said nothing"
        finally:
            browser.terminate()
    path, body = server.answers[0]
    assert path == f"/done/{4 * WIDTH}x{4 * HEIGHT}", body
    result = np.frombuffer(body, np.uint8).reshape(4 * HEIGHT, 4 * WIDTH, 4)
    expected = sr_zoo.upscale(picture[..., :3].copy(), model=network)
    assert np.abs(result[..., :3].astype(int) - expected.astype(int)).max() <= 1
    assert (result[..., 3] == 255).all()
