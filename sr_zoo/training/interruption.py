"""Ctrl-C and polite kills, which let the iteration that runs come to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interruptions(handler: Callable[..., None]) -> Iterator[None]:
    """Let Ctrl-C and a polite kill finish the iteration that runs, where the process allows it.

    Args:
        handler: Called, as Python's handlers are, in place of what either does elsewhere.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
