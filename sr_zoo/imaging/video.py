"""Video files, frame by frame: pictures in RGB in and out, everything else as it was.

Matrix and range of the colours, the times of the frames and all other streams are kept. Frames are
encoded in segments, so that what is finished survives whatever stops a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sr_zoo.errors import ImageReadError, OptionError
from sr_zoo.imaging.picture import Array

CODECS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
X26X = "ultrafast, superfast, veryfast, faster, fast, medium, slow, slower, veryslow, placebo"
PRESETS = {"h264": X26X, "hevc": X26X, "av1": "0 (slowest) to 13"}
QUIET = {"hevc": {"x265-params": "log-level=error"}}  # x265 writes to standard error by itself
USUAL_QUALITY = 65
WORST_CRF = 51
FEWEST_TO_REORDER = 3  # one that is shown between two others
SEGMENT = ("nut", ".nut")  # a container that keeps any time base
# libswscale's matrices by the number that files call them; others are 601, there and back
MATRICES = {1: 1, 4: 4, 7: 7, 9: 9, 10: 9}
USUAL_MATRIX = 5
LIMITED, FULL = 1, 2
# libswscale: bicubic, whole colours at every pixel, rounded and not cut; else frames get darker
ACCURATE = 0x4 | 0x2000 | 0x4000 | 0x40000


@dataclass(frozen=True)
class Colors:
    """How a video's samples mean colours; the numbers are those of ITU-T H.273."""

    matrix: int
    range: int
    primaries: int
    transfer: int

    @property
    def conversion(self) -> tuple[int, int]:
        """Matrix and range as libswscale takes them."""
        return MATRICES.get(self.matrix, USUAL_MATRIX), self.range or LIMITED


@dataclass(frozen=True)
class VideoFrame:
    """One frame: (H, W, 3) of uint8 or uint16, and when it is shown, in its clip's time base."""

    pixels: Array
    time: int


class Clip:
    """A video file that is open for reading.

    Attributes:
        path: The file.
        time_base: Unit of the frames' times in seconds.
        num_frames: As the file claims; 0 where it does not.
        colors: How its samples mean colours.
    """

    def __init__(self, path: Path, container: Any) -> None:
        self.path = path
        self._container = container
        if not container.streams.video:
            raise ImageReadError(f"{path}: holds no video")
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        context = self._stream.codec_context
        self.time_base: Fraction = self._stream.time_base
        self.rate: Fraction = self._stream.average_rate or Fraction(25)
        self.aspect: Fraction | None = context.sample_aspect_ratio
        self.num_frames: int = self._stream.frames
        self.format: str = context.pix_fmt.replace("yuvj", "yuv")
        full = context.pix_fmt.startswith("yuvj")
        self.colors = Colors(
            int(context.colorspace),
            FULL if full else int(context.color_range),
            int(context.color_primaries),
            int(context.color_trc),
        )
        self.deep: bool = context.format.components[0].bits > 8

    def frames(self) -> Iterator[VideoFrame]:
        """Decode the frames, upright, in the order in which they are shown."""
        step = max(round(1 / (self.rate * self.time_base)), 1)
        last = -step
        matrix, full = self.colors.conversion
        for frame in self._container.decode(self._stream):
            rgb = frame.reformat(
                format="rgb48le" if self.deep else "rgb24",
                src_colorspace=matrix,
                src_color_range=full,
                dst_color_range=FULL,
                interpolation=ACCURATE,
            ).to_ndarray()
            last = last + step if frame.pts is None else frame.pts
            yield VideoFrame(np.rot90(rgb, frame.rotation // 90), last)


@contextmanager
def open_clip(path: Path) -> Iterator[Clip]:
    """Open a video file.

    Raises:
        ImageReadError: PyAV is not installed; the file is missing, damaged, or no video. Inside the
            context too, while frames are decoded.
    """
    av = import_av()
    try:
        with av.open(str(path)) as container:
            yield Clip(path, container)
    except FileNotFoundError:
        raise ImageReadError(f"{path}: no such file") from None
    except av.error.FFmpegError as error:
        raise ImageReadError(f"{path}: is damaged, or no video ({error.strerror})") from error


@dataclass(frozen=True)
class Encoding:
    """How frames are compressed.

    Attributes:
        codec: One of `CODECS`, or ``"auto"`` for the usual one of the container.
        quality: 1 to 100.
        preset: The encoder's own name for how much time it takes; None for its usual.

    Raises:
        OptionError: There is no such codec, or the quality is out of range.
    """

    codec: str = "auto"
    quality: int = USUAL_QUALITY
    preset: str | None = None

    def __post_init__(self) -> None:
        if self.codec not in ("auto", *CODECS):
            raise OptionError(f"codec must be one of auto, {', '.join(CODECS)}, got {self.codec!r}")
        if not 1 <= self.quality <= 100:
            raise OptionError(f"quality must be from 1 to 100, got {self.quality}")

    @property
    def options(self) -> dict[str, str]:
        """What the encoder is told."""
        crf = round(WORST_CRF * (1 - self.quality / 100))
        preset = {"preset": self.preset} if self.preset else {}
        return {"crf": str(crf)} | preset | QUIET.get(self.codec, {})


class SegmentWriter:
    """Encodes frames into a file of their own; they all have one size.

    Args:
        path: Where; whatever stands there is replaced.
        clip: Whose colours, aspect and time base are kept.
        size: Height and width of the frames.
        encoding: How to compress, by a codec with a name.

    Raises:
        av.error.FFmpegError: The encoder is missing, or refuses the size or what it is told.
    """

    def __init__(self, path: Path, clip: Clip, size: tuple[int, int], encoding: Encoding) -> None:
        self._av = import_av()
        os.environ.setdefault("SVT_LOG", "1")  # errors alone, of the AV1 encoder
        self._clip = clip
        self._container = self._av.open(str(path), "w", format=SEGMENT[0])
        stream = self._container.add_stream(
            CODECS[encoding.codec], rate=clip.rate, options=encoding.options
        )
        context = stream.codec_context
        offered = {f.name for f in context.codec.video_formats or ()}
        usual = "yuv420p10le" if clip.deep else "yuv420p"
        self._format = clip.format if clip.format in offered else usual
        stream.height, stream.width = size
        stream.pix_fmt = self._format
        context.time_base = self._step = 1 / clip.rate
        if clip.aspect:
            context.sample_aspect_ratio = clip.aspect
        colors = clip.colors
        context.colorspace, context.color_range = colors.matrix, colors.range
        context.color_primaries, context.color_trc = colors.primaries, colors.transfer
        context.open()  # refused once, frames that are waiting could end the process
        self._stream = stream
        self._count = 0

    def add(self, frame: VideoFrame) -> None:
        """Encode a frame."""
        matrix, full = self._clip.colors.conversion
        kind = "rgb48le" if frame.pixels.dtype == np.uint16 else "rgb24"
        rgb = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), format=kind)
        encoded = rgb.reformat(
            format=self._format,
            dst_colorspace=matrix,
            src_color_range=FULL,
            dst_color_range=full,
            interpolation=ACCURATE,
        )
        encoded.pts, encoded.time_base = self._count, self._step  # `join` knows the true times
        self._count += 1
        self._container.mux(self._stream.encode(encoded))

    def close(self) -> None:
        """Encode what is still waiting, and finish the file."""
        packets = self._stream.encode(None)
        if self._count < FEWEST_TO_REORDER:  # until then x265 leaves their decoding times to chance
            for packet in packets:
                packet.dts = packet.pts
        self._container.mux(packets)
        self._container.close()


def batches(frames: Iterator[VideoFrame], length: int) -> Iterator[Iterator[VideoFrame]]:
    """Split frames into runs of `length`; each must be used up before the next."""
    for first in frames:
        rest = islice(frames, length - 1)

        def run(first: VideoFrame = first, rest: Iterator[VideoFrame] = rest) -> Iterator[Any]:
            yield first
            yield from rest

        yield run()


def import_av() -> Any:
    """Return PyAV.

    Raises:
        ImageReadError: It is not installed.
    """
    try:
        import av
    except ImportError:
        raise ImageReadError("video needs another library: pip install 'sr_zoo[video]'") from None
    return av
