"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sr_zoo.errors import ImageWriteError

PARTIAL = ".sr_zoo-{token}.part"  # short, so that it fits wherever the file's own name does


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file beside its place, flush it to the disk, then move it there.

    Whatever happens, `path` holds either all of `data` or what it held before.

    Raises:
        ImageWriteError: The folder is missing or not writable, or the disk is full.
    """
    target = Path(path).resolve()  # a link stays a link
    partial = target.with_name(PARTIAL.format(token=secrets.token_hex(8)))
    try:
        if target.is_dir():
            raise ImageWriteError(f"{path}: is a folder; name a file in it")
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except ImageWriteError:
        raise
    except FileNotFoundError:
        raise ImageWriteError(f"{path}: the folder {target.parent} does not exist") from None
    except OSError as error:
        raise ImageWriteError(
            f"{path}: cannot be written ({error.strerror or error}); nothing was changed"
        ) from error
