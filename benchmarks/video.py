"""Frames per second from end to end, 640x360 to 1280x720: decoding, the network, encoding.

``python benchmarks/video.py [FRAMES [MODEL...]] > docs/measured/video.md``, by default 120 frames
and some of the fastest networks. Weights are random, which does not matter to the speed; the type
is the one that `dtype="auto"` takes. Prints a markdown table.
"""

import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from sr_zoo import Upscaler, create_model
from sr_zoo.evaluation.speed import machine_line
from sr_zoo.imaging.video import Encoding
from sr_zoo.inference.video import upscale_video

RATE = 30
MODELS = ("ecbsr_rgb_m4c16_plain", "etds_m5c16_deploy", "abpn_m4c28", "quicksrnet_small")


def write_clip(path: Path, frames: int) -> None:
    """Write a moving pattern."""
    rows, columns = np.mgrid[:360, :640]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(frames):
            red = (128 + 100 * np.sin((columns + 4 * index) / 30)).astype(np.uint8)
            green = (128 + 100 * np.cos((rows + 2 * index) / 20)).astype(np.uint8)
            pixels = np.stack([red, green, ((rows // 9 + columns // 9) % 2 * 90 + 60)], 2)
            frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def measure(model: str, clip: Path, frames: int) -> str:
    """Return a row of the table."""
    network = create_model(model, 2, pretrained=False)
    upscaler = Upscaler(network, runtime="openvino")
    encoding = Encoding(preset="ultrafast")
    target = clip.with_name("large.mp4")
    upscale_video(upscaler, clip, target, encoding, progress=False)  # a first run exports, warms up
    started, used = time.monotonic(), time.process_time()
    upscale_video(upscaler, clip, target, encoding, progress=False)
    seconds, used = time.monotonic() - started, time.process_time() - used
    return (
        f"| `{model}` | {upscaler.runtime} | {upscaler.dtype} | {frames / seconds:.1f} | "
        f"{1000 * used / frames:.1f} |"
    )


def main() -> None:
    """Measure networks one after another."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    print(
        f"{frames} frames of 640x360 to 1280x720, H.264 in and out (`--preset ultrafast`). "
        f"{machine_line()}; {os.cpu_count()} cores.\n"
    )
    print("| network | runtime | type | frames a second | processor time a frame in ms |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, frames)
        for model in sys.argv[2:] or MODELS:
            print(measure(model, clip, frames), flush=True)


if __name__ == "__main__":
    main()
