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
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt
LARGEST_BETWEEN = 32 << 20  # bytes; what glibc adapts to by itself at most
STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Limits:
    """How much memory is kept, in bytes.

    Attributes:
        largest: Larger blocks are the system's while a network runs, too.
        end: What may be free at the end of the memory meanwhile.
        free: What may stay free between two runs.
    """

    largest: int
    end: int
    free: int


WHOLE_MAPS = Limits(largest=1 << 30, end=1 << 30, free=512 << 20)
# maps of a strip are far smaller, those of one strip together 60 MiB; of the few whole ones, one
# kept at the wrong place costs a third
STRIPS = Limits(largest=32 << 20, end=64 << 20, free=128 << 20)


class Heap:
    """The C library's memory, which keeps what is freed inside ``with heap.kept(limits):``.

    Args:
        library: glibc.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._lock = Lock()
        self._users: list[Limits] = []
        self._least = _resident()  # bytes that the process held when least was free

    @contextmanager
    def kept(self, limits: Limits) -> Iterator[None]:
        """Keep what is freed; after the last user all goes back if too much can be free."""
        with self._lock:
            if not self._users:
                self._least = min(self._least, _resident())
            self._users.append(limits)
            self._apply()
        try:
            yield
        finally:
            with self._lock:
                self._users.remove(limits)
                if self._users:
                    self._apply()
                else:
                    self._set(LARGEST_BETWEEN, limits.free)
                    if _resident() - self._least > limits.free:
                        self._library.malloc_trim(ctypes.c_size_t(0))
                        self._least = _resident()

    def give_back(self) -> None:
        """Give back by now what is free, unless somebody keeps whole maps."""
        with self._lock:
            if self._users and max(limits.largest for limits in self._users) <= LARGEST_BETWEEN:
                self._library.malloc_trim(ctypes.c_size_t(0))

    def _apply(self) -> None:
        """Go by the user who keeps most."""
        largest = max(limits.largest for limits in self._users)
        self._set(largest, max(limits.end for limits in self._users))

    def _set(self, largest: int, kept: int) -> None:
        if not self._library.mallopt(MMAP_THRESHOLD, largest):
            # before 2.35, glibc takes no more; left as it is, it would no longer adapt either
            self._library.mallopt(MMAP_THRESHOLD, LARGEST_BETWEEN)
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
def memory_kept(limits: Limits = WHOLE_MAPS) -> Iterator[None]:
    """Keep what is freed inside for what is asked for next, where the C library can be told so."""
    heap = _heap()
    if heap is None:
        yield
        return
    with heap.kept(limits):
        yield


def give_back() -> None:
    """Give the system what is free inside ``with memory_kept(STRIPS):``, holes between maps too.

    For between two passes over a large map: what strips of one height left is of little use to
    those of another.
    """
    heap = _heap()
    if heap is not None:
        heap.give_back()
