"""A run's folder is written by one run at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from sr_zoo.errors import OptionError
from sr_zoo.weights.download import lock_file


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Keep other runs on this machine out of a folder, for as long as the process lives at most.

    Raises:
        OptionError: Another run is in it, or the cache cannot be written.
    """
    key = sha256(os.fsencode(folder.resolve())).hexdigest()
    try:
        lock = FileLock(lock_file(key))
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OptionError(
            f"{folder}: another process is training there; wait for it, stop it, or name another "
            "output folder"
        ) from error
    except OSError as error:
        raise OptionError(
            f"Nothing can be written to the cache ({error}); SR_ZOO_CACHE names another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
