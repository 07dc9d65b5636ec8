"""A run's folder is written by one run at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from filelock import Timeout

from sr_zoo.errors import OptionError
from sr_zoo.weights.download import taking_turns


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Keep other runs on this machine out of a folder, for as long as the process lives at most.

    Raises:
        OptionError: Another run is in it.
        DownloadError: The cache, where the lock is, cannot be written to.
    """
    key = sha256(os.fsencode(folder.resolve())).hexdigest()
    with ExitStack() as stack:
        try:
            stack.enter_context(taking_turns(key, timeout=0))
        except Timeout as error:
            raise OptionError(
                f"{folder}: another process is training there; wait for it, stop it, or name "
                "another output folder"
            ) from error
        yield
