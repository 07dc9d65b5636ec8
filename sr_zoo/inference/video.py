"""Video files: decoding, the network and encoding side by side, continued where they stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from sr_zoo.atomic import write_atomically
from sr_zoo.errors import ImageWriteError, OptionError
from sr_zoo.imaging.folder import identity_of
from sr_zoo.imaging.picture import Array
from sr_zoo.imaging.remux import check_streams, encoding_for, join
from sr_zoo.imaging.video import (
    PRESETS,
    SEGMENT,
    Clip,
    Encoding,
    SegmentWriter,
    VideoFrame,
    batches,
    import_av,
    open_clip,
)
from sr_zoo.inference.files import settings_of
from sr_zoo.inference.size import is_count
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.paths import as_path
from sr_zoo.progress import unwatched

FRAMES_PER_SEGMENT = 240
AHEAD = 4  # frames that wait decoded, and encoded
Item = TypeVar("Item")


def upscale_video(
    upscaler: Upscaler,
    source: str | Path,
    target: str | Path,
    encoding: Encoding | None = None,
    *,
    strip: bool = False,
    progress: bool = True,
    frames_per_segment: int = FRAMES_PER_SEGMENT,
) -> int:
    """Upscale a video file; sound, subtitles, the times of the frames and colours' meaning stay.

    A run that was stopped continues with the first unfinished segment when it is started again in
    the same way. Sides are rounded down to even numbers where the encoder needs that.

    Args:
        upscaler: What to upscale with.
        source: The video.
        target: Where to write; the ending says the container.
        encoding: How to compress.
        strip: Leave out what the container says of people and places.
        progress: Whether to show a progress bar.
        frames_per_segment: How many frames are lost at most when a run is stopped.

    Returns:
        How many frames there are.

    Raises:
        ImageReadError: The video is missing or damaged, or PyAV is not installed.
        ImageWriteError: The output cannot be written.
        OptionError: The output would replace the input, or `frames_per_segment` is below 1.
    """
    source, target = as_path(source, "source"), as_path(target, "target")
    if not is_count(frames_per_segment, least=1):
        raise OptionError(f"frames_per_segment must be 1 or more, got {frames_per_segment!r}")
    encoding = encoding_for(target, encoding or Encoding())
    if identity_of(target) == identity_of(source):
        raise OptionError(f"{target} is the input and would be replaced; choose another name")
    with open_clip(source) as clip:
        check_streams(source, target)  # told before hours of work, not after
        settings = settings_of(upscaler, vars(encoding)) | {
            "source": [str(source), source.stat().st_size, source.stat().st_mtime_ns],
            "frames_per_segment": frames_per_segment,
        }
        folder = _folder(target, settings)
        segments: list[Path] = []
        times: list[int] = []
        with (
            closing(
                _ahead(clip.frames())
            ) as decoded,  # before the clip is, of which it still reads
            tqdm(
                total=clip.num_frames or None,
                unit="frame",
                desc=source.name,
                disable=not progress or unwatched(),
            ) as bar,
        ):
            for frames in batches(decoded, frames_per_segment):
                segment = folder / f"{len(segments):06}{SEGMENT[1]}"
                if segment.exists():
                    for frame in frames:
                        times.append(frame.time)
                        bar.update()
                else:
                    times += _write(segment, clip, upscaler, frames, encoding, bar.update)
                segments.append(segment)
    if not segments:
        raise ImageWriteError(f"{source}: holds no frame, so there is nothing to write")
    join(segments, times, clip.time_base, source, target, strip=strip)
    shutil.rmtree(folder)
    return len(times)


def _folder(target: Path, settings: Mapping[str, Any]) -> Path:
    """Return the folder of the finished segments, emptied if they are of another run."""
    name = sha256(target.name.encode(errors="surrogateescape")).hexdigest()[:16]
    folder = target.resolve().parent / f".sr_zoo-{name}-segments"
    said = json.dumps(settings, default=str, sort_keys=True).encode()
    journal = folder / "settings.json"
    try:
        if folder.exists() and not (journal.exists() and journal.read_bytes() == said):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageWriteError(f"{target}: cannot be written ({error.strerror})") from error
    write_atomically(journal, said, error=ImageWriteError)
    return folder


def _write(
    segment: Path,
    clip: Clip,
    upscaler: Upscaler,
    frames: Iterator[VideoFrame],
    encoding: Encoding,
    advance: Callable[[], object],
) -> list[int]:
    """Upscale and encode one segment; return when its frames are shown."""
    partial = segment.with_suffix(".part")
    writer: SegmentWriter | None = None
    waiting: list[Any] = []
    times = []
    try:
        with ThreadPoolExecutor(1) as encoder:
            for frame in frames:
                large = _even(_upscaled(upscaler, frame.pixels))
                if writer is None:
                    writer = SegmentWriter(partial, clip, large.shape[:2], encoding)
                waiting.append(encoder.submit(writer.add, VideoFrame(large, frame.time)))
                while len(waiting) > AHEAD:
                    waiting.pop(0).result()
                times.append(frame.time)
                advance()
            for future in waiting:
                future.result()
        if writer:
            writer.close()
        partial.replace(segment)
    except OSError as error:
        raise ImageWriteError(
            f"{segment.parent}: cannot be written ({error.strerror or error}); what is finished "
            "stays, run again to continue"
        ) from error
    except import_av().error.FFmpegError as error:
        asked = ", ".join(f"{name}={value!r}" for name, value in vars(encoding).items())
        allowed = f"; presets of {encoding.codec} are {PRESETS[encoding.codec]}"
        raise ImageWriteError(
            f"{clip.path}: the encoder refuses frames ({error.strerror or error}) with {asked}"
            f"{allowed if encoding.preset else ''}"
        ) from error
    return times


@torch.inference_mode()
def _upscaled(upscaler: Upscaler, pixels: Array) -> Array:
    # by NumPy: torch's threads spin for a while, and would take time from another runtime's
    top = np.iinfo(pixels.dtype).max
    rgb = np.stack(list(np.moveaxis(pixels, 2, 0))).astype(np.float32)
    rgb /= top
    planes = upscaler.suited_to(pixels.dtype).tensor(torch.from_numpy(rgb)[None])[0].numpy()
    planes *= top
    levels = np.rint(planes, out=planes).astype(pixels.dtype)
    return np.stack(list(levels), axis=2)  # copying a transposed view takes four times as long


def _even(pixels: Array) -> Array:
    """Cut to even sides, which colours at half resolution need."""
    height, width = pixels.shape[:2]
    return pixels[: max(height // 2 * 2, 1), : max(width // 2 * 2, 1)]


def _ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield items that another thread prepares a few ahead."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        waiting = [thread.submit(next, items, end) for _ in range(AHEAD)]
        while (item := waiting.pop(0).result()) is not end:
            waiting.append(thread.submit(next, items, end))
            yield item  # type: ignore[misc] # the end is told apart above
