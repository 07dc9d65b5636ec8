"""Frames per second from end to end, 640x360 to 1280x720: decoding, the network, encoding.

``python benchmarks/video.py [MODEL [FRAMES]]``, by default `nearest`, the lower bound of all
networks, and 120 frames; weights are random, which does not matter to the speed.
"""

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from sr_zoo import Upscaler, create_model
from sr_zoo.imaging.video import Encoding
from sr_zoo.inference.video import upscale_video

RATE = 30


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


def main() -> None:
    """Measure one network."""
    model = sys.argv[1] if len(sys.argv) > 1 else "nearest"
    frames = int(sys.argv[2]) if len(sys.argv) > 2 else 120
    upscaler = Upscaler(create_model(model, 2, pretrained=False))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, frames)
        started = time.monotonic()
        encoding = Encoding(preset="veryfast")
        upscale_video(upscaler, clip, Path(folder) / "large.mp4", encoding, progress=False)
        seconds = time.monotonic() - started
    print(f"{model}: {frames / seconds:.1f} frames a second, {upscaler.runtime_reason}")


if __name__ == "__main__":
    main()
