"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import platform
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, TemporaryFile

import psutil

from sr_zoo.errors import FileWriteError, SRZooError

PREFIX, SUFFIX = ".sr_zoo-", ".part"
DIGITS = 16
STEM = len(PREFIX) + DIGITS + 1  # characters by which the files beside one target are known
CLOCKS_APART = 60.0  # seconds by which the times of a file and of a process may disagree
ABANDONED = 24 * 3600.0  # seconds without a change, of what another machine was writing


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
    partial = target.with_name(f"{_begun(target)}{secrets.token_hex(4)}{SUFFIX}")
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


def drafts(path: str | Path) -> TemporaryDirectory[str]:
    """Return a folder beside where `path` will be, for drafts of it that others write.

    It goes away with its context; `remove_leftovers` takes away that of a killed run.

    Raises:
        OSError: The folder of `path` is missing or not writable.
    """
    target = Path(path).resolve()
    return TemporaryDirectory(dir=target.parent, prefix=_begun(target), suffix=SUFFIX)


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


def make_writable(folder: Path, *, error: type[SRZooError] = FileWriteError) -> None:
    """Make a folder unless it is there, and try to write to it, before long work for it.

    Args:
        folder: Which.
        error: What to raise where it cannot be made or not be written to.
    """
    make_folder(folder, error=error)
    try:
        TemporaryFile(dir=folder).close()
    except OSError as cause:
        raise error(f"{folder}: cannot be written to ({cause.strerror})") from cause


def remove_leftovers(targets: Iterable[Path]) -> None:
    """Remove what killed runs left half-written beside these files, and nobody writes any more."""
    stems = defaultdict(set)
    for target in map(Path.resolve, targets):
        stems[target.parent].add(_stem(target))
    for folder, wanted in stems.items():
        for partial in folder.glob(f"{PREFIX}*{SUFFIX}"):
            stem, rest = partial.name[:STEM], partial.name[STEM:]
            if stem in wanted and not _is_written(partial, *rest.split("-")[:2]):
                with suppress(OSError):  # on Windows, while somebody has it open
                    if partial.is_dir():
                        rmtree(partial)
                    else:
                        partial.unlink()


def _begun(target: Path) -> str:
    """Return how the name of what this process begins to write starts."""
    return f"{_stem(target)}{_machine()}-{os.getpid()}-"


def _machine() -> str:
    """Return what tells this machine from others that share its disks."""
    return sha256(platform.node().encode()).hexdigest()[:8]


def _is_written(partial: Path, machine: str, process: str = "") -> bool:
    """Whether the process that began it is still there, as far as can be told."""
    try:
        changed = partial.stat().st_mtime
        if machine != _machine():
            return time.time() - changed < ABANDONED
        # a later process can have the same number
        return psutil.Process(int(process)).create_time() - CLOCKS_APART <= changed
    except (OSError, ValueError, psutil.Error):
        return False


def _stem(target: Path) -> str:
    """Return how the half-written file's name starts: short, to fit wherever the target's does."""
    return f"{PREFIX}{sha256(target.name.encode(errors='surrogateescape')).hexdigest()[:DIGITS]}-"
