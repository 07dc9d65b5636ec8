"""The pages of a TIFF file."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sr_zoo.errors import ImageWriteError
from sr_zoo.imaging import tiff
from sr_zoo.imaging.formats import BY_NAME, Format
from sr_zoo.imaging.picture import Picture
from sr_zoo.imaging.read import Source, decode, decoding, load
from sr_zoo.imaging.write import fit

KIND, REDUCED = 254, 1  # a tag, and the bit in it for a smaller copy of another page
MAX_PAGES = 65_536  # more are a damaged file, whose directories lead in circles


@dataclass(frozen=True)
class Pages:
    """The pages of a file, decoded one at a time while they are iterated over.

    Attributes:
        pictures: Can be iterated over once.
        num_pages: At least 2.
    """

    pictures: Iterator[Picture]
    num_pages: int


def read_pages(source: Source) -> Pages | None:
    """Open a TIFF file of several pages, or return None for any other; thumbnails are no pages.

    Args:
        source: As for `read_image`.

    Raises:
        ImageReadError: There is no such file. While iterating too: a page may be damaged.
    """
    data, name = load(source)
    if not data.startswith(tiff.SIGNATURES):
        return None
    first, offsets = _directories(data)
    if len(offsets) < 2:
        return None

    return Pages(_pictures(io.BytesIO(data), name, first, offsets), len(offsets))


def _pictures(
    file: io.BytesIO, name: str, first: slice, offsets: Sequence[bytes]
) -> Iterator[Picture]:
    """Decode the pages at the offsets, each of which the header is made to call the first."""
    for number, offset in enumerate(offsets, 1):
        with file.getbuffer() as header:
            header[first] = offset
        page = file.getvalue()  # no copy: nobody else holds these bytes when the header changes
        with decoding(f"{name}, page {number}", page):
            picture = decode(page)
        del page
        yield picture


def _directories(data: bytes) -> tuple[slice, list[bytes]]:
    """Return where the header says which page is first, and that of every page, as it would stand.

    A damaged directory counts as a page, so that its decoder complains.
    """
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    first = slice(8, 16) if big else slice(4, 8)
    pointer = struct.Struct(order + ("Q" if big else "L"))
    pages: list[bytes] = []
    seen: set[int] = set()
    following = data[first]
    while len(following) == pointer.size and len(seen) < MAX_PAGES:
        (offset,) = pointer.unpack(following)
        if not offset or offset in seen:
            break
        seen.add(offset)
        kind, following = _directory(data, offset, order, big)
        if not kind & REDUCED:
            pages.append(pointer.pack(offset))
    return first, pages


def _directory(data: bytes, offset: int, order: str, big: bool) -> tuple[int, bytes]:
    """Return the kind of the page in a directory, 0 by default, and where the next one is said."""
    counter = struct.Struct(order + ("Q" if big else "H"))
    entry = struct.Struct(order + ("HHQL4x" if big else "HHLL"))
    start = offset + counter.size
    if start > len(data):
        return 0, b""
    end = start + counter.unpack_from(data, offset)[0] * entry.size
    if end > len(data):
        return 0, b""
    entries = entry.iter_unpack(data[start:end])
    kind = next((value for tag, _, _, value in entries if tag == KIND), 0)
    return kind, data[end : end + (8 if big else 4)]


def check_paged(format: Format, num_pages: int) -> None:
    """Raise an ImageWriteError unless a format holds several pages."""
    if format.name != "TIFF":
        raise ImageWriteError(
            f"{format.name} holds one page, this file has {num_pages}; write TIFF instead"
        )


def encode_pages(pictures: Iterable[Picture], *, strip: bool = False) -> bytes:
    """Return pictures as the pages of a TIFF file; each is compressed before the next is asked for.

    Args:
        pictures: Of any sizes and types.
        strip: As in `encode_image`.

    Raises:
        ImageWriteError: There is no picture, or the file would exceed 4 GB.
    """
    file = io.BytesIO()
    pages = (fit(picture, BY_NAME["TIFF"]) for picture in pictures)
    if strip:
        pages = (replace(page, metadata=page.metadata.stripped()) for page in pages)
    tiff.write(pages, file)
    return file.getvalue()
