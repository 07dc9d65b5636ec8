"""Packets of encoded video and of everything beside it, put into one file as they are."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from sr_zoo.atomic import writing_atomically
from sr_zoo.errors import ImageWriteError
from sr_zoo.imaging.video import CODECS, Encoding, import_av

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
# codecs, the usual one first, of containers that do not hold all
HELD = {"webm": ("av1",), "mov": ("h264", "hevc")}
SUFFIXES = (*CONTAINERS, ".avi", ".ts", ".mpg", ".mpeg", ".wmv", ".flv")


def join(
    segments: Sequence[Path],
    times: Sequence[int],
    time_base: Fraction,
    source: Path,
    target: Path,
    *,
    strip: bool = False,
) -> None:
    """Put segments together with all that the source holds besides its video.

    Args:
        segments: In their order.
        times: When each frame of them all is shown.
        time_base: Unit of the times in seconds.
        source: Whose sound, subtitles and metadata are copied as they are.
        target: Written whole or not at all; its ending says the container.
        strip: Leave the container's metadata out, which may tell of people and places.

    Raises:
        ImageWriteError: The container cannot hold the streams, or the file cannot be written.
    """
    av = import_av()
    with writing_atomically(target, error=ImageWriteError) as partial:
        try:
            with (
                av.open(str(partial), "w", format=container_of(target)) as output,
                av.open(str(source)) as original,
                av.open(str(segments[0])) as first,
            ):
                if not strip:
                    output.metadata.update(original.metadata)
                # packets alone: there may be no decoder of what was encoded
                video = output.add_stream_from_template(first.streams.video[0], opaque=True)
                video.time_base = time_base
                copies = _copies(original, output)
                _mux(output, _video(segments, times, video), _others(original, copies))
        except (av.error.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", error)
            raise ImageWriteError(
                f"{target}: cannot be written ({reason}); .mkv holds every kind of stream"
            ) from error


def check_streams(source: Path, target: Path) -> None:
    """Raise an ImageWriteError unless the target's container holds the source's other streams."""
    av = import_av()
    try:
        with (
            av.open(io.BytesIO(), "w", format=container_of(target)) as output,
            av.open(str(source)) as original,
        ):
            _copies(original, output)
    except (av.error.FFmpegError, ValueError) as error:
        raise ImageWriteError(
            f"{target}: cannot hold all streams of {source} ({error}); .mkv holds every kind"
        ) from error


def _copies(original: Any, output: Any) -> dict[int, Any]:
    """Add the streams of sound and subtitles to an output; return them by their original index."""
    copies = {
        stream.index: output.add_stream_from_template(stream)
        for stream in original.streams
        if stream.type in ("audio", "subtitle")
    }
    for index, copy in copies.items():
        copy.metadata.update(original.streams[index].metadata)
    return copies


def container_of(target: Path) -> str:
    """Return FFmpeg's name of the container that a file name says.

    Raises:
        ImageWriteError: It says none that can be written.
    """
    suffix = target.suffix.lower()
    if suffix not in CONTAINERS:
        raise ImageWriteError(
            f"{target}: {suffix!r} is no video format that can be written; use one of "
            f"{', '.join(CONTAINERS)}"
        )
    return CONTAINERS[suffix]


def encoding_for(target: Path, encoding: Encoding) -> Encoding:
    """Return an encoding with the name of a codec that a file's container holds.

    Raises:
        ImageWriteError: The container is unknown, does not hold the codec, or nothing encodes it.
    """
    held = HELD.get(container_of(target), tuple(CODECS))
    codec = held[0] if encoding.codec == "auto" else encoding.codec
    if codec not in held:
        raise ImageWriteError(
            f"{target}: such files hold no {codec}; use codec {' or '.join(held)}, or .mkv"
        )
    if CODECS[codec] not in import_av().codecs_available:
        raise ImageWriteError(f"{target}: this PyAV has no encoder of {codec} ({CODECS[codec]})")
    return replace(encoding, codec=codec)


def _mux(output: Any, *tracks: Iterator[Any]) -> None:
    for packet in heapq.merge(*tracks, key=lambda p: p.dts * p.time_base):
        output.mux(packet)


def _video(segments: Sequence[Path], times: Sequence[int], stream: Any) -> Iterator[Any]:
    """Yield the packets of all segments, timed anew so that decoding times grow all the way."""
    shown: list[int] = []  # which frame each packet holds
    for segment in segments:
        stamps = [packet.pts for packet in _packets([segment])]
        rank = {stamp: len(shown) + n for n, stamp in enumerate(sorted(stamps))}
        shown += [rank[stamp] for stamp in stamps]
    delay = max(position - frame for position, frame in enumerate(shown))
    step = max((times[-1] - times[0]) // max(len(times) - 1, 1), 1)
    decoded = [times[0] - step * back for back in range(delay, 0, -1)] + list(times)
    ends = [*times[1:], times[-1] + step]
    time_base = stream.time_base
    for position, packet in enumerate(_packets(segments)):
        frame = shown[position]
        packet.time_base = time_base
        packet.pts, packet.dts = times[frame], decoded[position]
        packet.duration = ends[frame] - times[frame]
        packet.stream = stream
        yield packet


def _packets(segments: Sequence[Path]) -> Iterator[Any]:
    av = import_av()
    for segment in segments:
        with av.open(str(segment)) as container:
            for packet in container.demux(video=0):
                if packet.pts is not None:
                    yield packet


def _others(original: Any, copies: dict[int, Any]) -> Iterator[Any]:
    streams = [original.streams[index] for index in copies]
    for packet in original.demux(streams) if streams else ():
        if packet.dts is not None:
            packet.stream = copies[packet.stream.index]
            yield packet
