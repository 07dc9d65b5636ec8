"""Memory that one layer frees and the next takes, without the system in between.

By default glibc gives large blocks back to the system at once, which clears every page of the next
one. That takes up to half of a transformer's time: benchmarks/heap.py.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt
LARGEST = 1 << 30  # bytes; larger blocks are the system's while a network runs, too
LARGEST_BETWEEN = 32 << 20  # what glibc adapts to by itself at most
KEPT = 512 << 20  # bytes that may stay free between two runs
STATM = Path("/proc/self/statm")


class Heap:
    """The C library's memory, which keeps what is freed inside ``with heap.kept():``.

    Args:
        library: glibc.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._lock, self._users = Lock(), 0
        self._least = _resident()  # bytes that the process held when least was free

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is freed; after the last user all goes back if it can be more than `KEPT`."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._least = min(self._least, _resident())
                self._set(LARGEST, LARGEST)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._set(LARGEST_BETWEEN, KEPT)
                    if _resident() - self._least > KEPT:
                        self._library.malloc_trim(ctypes.c_size_t(0))
                        self._least = _resident()

    def _set(self, largest: int, kept: int) -> None:
        self._library.mallopt(MMAP_THRESHOLD, largest)
        self._library.mallopt(TRIM_THRESHOLD, kept)


def _resident() -> int:
    """Return the bytes of memory that the process holds; 0 where the system does not tell."""
    try:
        pages = STATM.read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * mmap.PAGESIZE


@cache
def _heap() -> Heap | None:
    """Return the C library's memory if it is glibc's and users left it alone."""
    tuned = any(name.startswith("MALLOC_") for name in os.environ)
    if tuned or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    if platform.libc_ver()[0] != "glibc":
        return None
    return Heap(ctypes.CDLL(None))


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep what is freed inside for what is asked for next, where the C library can be told so."""
    heap = _heap()
    if heap is None:
        yield
        return
    with heap.kept():
        yield
