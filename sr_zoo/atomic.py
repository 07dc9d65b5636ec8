"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from sr_zoo.errors import FileWriteError, SRZooError

PREFIX, SUFFIX = ".sr_zoo-", ".part"
DIGITS = 16


def write_atomically(
    path: str | Path, data: bytes, *, error: type[SRZooError] = FileWriteError
) -> None:
    """Write a file beside its place, flush it to the disk, then move it there.

    Whatever happens, `path` holds either all of `data` or what it held before.

    Args:
        path: The file.
        data: All that it shall hold.
        error: What to raise where the folder is missing or not writable, or the disk is full.
    """
    with writing_atomically(path, error=error) as partial:
        partial.write_bytes(data)


@contextmanager
def writing_atomically(
    path: str | Path, *, error: type[SRZooError] = FileWriteError
) -> Iterator[Path]:
    """Yield a file beside `path` to write to; it is moved there once the context ends well.

    Args:
        path: The file.
        error: As for `write_atomically`.
    """
    target = Path(path).resolve()  # a link stays a link
    partial = target.with_name(_stem(target) + secrets.token_hex(8) + SUFFIX)
    try:
        if target.is_dir():
            raise error(f"{path}: is a folder; name a file in it")
        try:
            partial.open("xb").close()
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except SRZooError:
        raise
    except FileNotFoundError:
        raise error(f"{path}: the folder {target.parent} does not exist") from None
    except OSError as cause:
        raise error(
            f"{path}: cannot be written ({cause.strerror or cause}); nothing was changed"
        ) from cause


def make_folder(folder: Path, *, error: type[SRZooError] = FileWriteError) -> None:
    """Make a folder and those it lies in, unless it is there.

    Args:
        folder: Which.
        error: What to raise where it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise error(f"{folder}: the folder cannot be made ({cause.strerror})") from cause


def remove_leftovers(targets: Iterable[Path]) -> None:
    """Remove what killed runs left half-written beside these files; nobody else may write them."""
    stems = defaultdict(set)
    for target in map(Path.resolve, targets):
        stems[target.parent].add(_stem(target))
    for folder, wanted in stems.items():
        for partial in folder.glob(f"{PREFIX}*{SUFFIX}"):
            if partial.name[: len(PREFIX) + DIGITS + 1] in wanted:
                partial.unlink(missing_ok=True)


def _stem(target: Path) -> str:
    """Return how the half-written file's name starts: short, to fit wherever the target's does."""
    return f"{PREFIX}{sha256(target.name.encode(errors='surrogateescape')).hexdigest()[:DIGITS]}-"
