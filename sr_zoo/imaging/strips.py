"""Writing an image strip by strip, through libvips: compressed while later rows are being made.

The rows reach libvips as an uncompressed PNG, of the formats that it takes from a stream the one
that holds 16 bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Semaphore
from typing import Any

from sr_zoo.atomic import writing_atomically
from sr_zoo.errors import ImageWriteError
from sr_zoo.imaging import png
from sr_zoo.imaging.picture import Array

TILED_SIDE = 256  # of the tiles inside a TIFF
PACKING: dict[str, dict[str, Any]] = {
    "TIFF": {
        "tile": True,
        "tile_width": TILED_SIDE,
        "tile_height": TILED_SIDE,
        "bigtiff": True,
        "compression": "deflate",
        "predictor": "horizontal",
    },
    "PNG": {"compression": 3},
}
KEPT = ("icc-profile-data", "exif-data", "xmp-data")  # libvips' names
ROWS_AT_ONCE = 64
PATIENCE = 0.1  # seconds between looks at whether the encoder still lives


@contextmanager
def writing_strips(
    path: Path, original: Any, scale: int, format: str, strip: bool
) -> Iterator[Callable[[Array], None]]:
    """Yield what takes the rows of an enlarged image, from top to bottom.

    It returns once the rows before have been compressed, so that no more than two pieces are held.

    Args:
        path: A file that will be written whole or not at all.
        original: The image of pyvips that is enlarged, whose metadata is kept.
        scale: How many times.
        format: One of `PACKING`.
        strip: Whether EXIF and XMP are left out.

    Raises:
        ImageWriteError: The file cannot be written. Inside the context too, as soon as it is known.
    """
    import pyvips  # type: ignore[import-untyped]  # it has no annotations

    feed = _Feed()
    with (
        writing_atomically(path, error=ImageWriteError) as partial,
        ThreadPoolExecutor(1) as thread,
    ):

        def save() -> None:
            try:
                _save(feed, partial, original, scale, format, strip)
            except pyvips.Error as error:
                said = " ".join(str(error).split())
                raise ImageWriteError(
                    f"{path}: cannot be written ({said}); nothing was changed"
                ) from error

        saving = thread.submit(save)
        try:
            yield lambda rows: feed.put(rows, saving)
        finally:
            feed.end()
        saving.result()


class _Feed:
    """Rows on their way from one thread to another."""

    def __init__(self) -> None:
        self._strips: SimpleQueue[Array | None] = SimpleQueue()
        self._free = Semaphore()

    def put(self, rows: Array, reader: Future[None]) -> None:
        """Hand rows over when those before them have been used up; raise if their reader failed."""
        while not self._free.acquire(timeout=PATIENCE):
            if reader.done():
                reader.result()
        self._strips.put(rows)

    def end(self) -> None:
        self._strips.put(None)

    def __iter__(self) -> Iterator[Array]:
        while (strip := self._strips.get()) is not None:
            for top in range(0, len(strip), ROWS_AT_ONCE):
                yield strip[top : top + ROWS_AT_ONCE]
            del strip
            self._free.release()


class _Stream:
    """Pieces of any length, read as of a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, length: int) -> memoryview:
        """Return at most `length` bytes, none at the end."""
        if not self._rest:
            self._rest = memoryview(next(filter(None, self._pieces), b""))
        taken, self._rest = self._rest[:length], self._rest[length:]
        return taken


def _save(feed: _Feed, path: Path, original: Any, scale: int, format: str, strip: bool) -> None:
    import pyvips

    bits = 16 if original.format == "ushort" else 8
    size = original.height * scale, original.width * scale
    stream = _Stream(_uncompressed(feed, size, original.bands, bits))
    source = pyvips.SourceCustom()
    source.on_read(stream.read)
    image = pyvips.Image.pngload_source(
        source, access="sequential", unlimited=True, fail_on="truncated"
    ).copy(xres=original.xres * scale, yres=original.yres * scale)
    for name in KEPT:
        if original.get_typeof(name):
            image.set_type(pyvips.GValue.blob_type, name, original.get(name))
    save = {"TIFF": image.tiffsave, "PNG": image.pngsave}[format]
    save(str(path), **PACKING[format], **({"keep": "icc"} if strip else {}))


def _uncompressed(
    strips: _Feed, size: tuple[int, int], channels: int, bits: int
) -> Iterator[bytes]:
    """Yield the pieces of a PNG file that stores its rows as they are."""
    yield png.SIGNATURE + png.image_header(size, bits, png.COLOR_TYPES[channels, False])
    packer = zlib.compressobj(0)
    for rows in strips:
        yield png.chunk(b"IDAT", packer.compress(png.unfiltered(rows)))
    yield png.chunk(b"IDAT", packer.flush()) + png.chunk(b"IEND", b"")
