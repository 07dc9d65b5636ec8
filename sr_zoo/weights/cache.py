"""Where weight files lie on this machine; every one is verified before it is given out.

The cache is `SR_ZOO_CACHE`, else the folder `sr_zoo` in `HF_HOME`. It holds files as they were
fetched (`files/SHA256/NAME`) and, so that a network is loaded without converting again, the same in
our layout (`converted/`); those carry their own SHA-256 in their names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import BinaryIO

from sr_zoo.atomic import make_folder, write_atomically
from sr_zoo.errors import CheckpointError, DownloadError, FileWriteError, WeightsIntegrityError
from sr_zoo.weights.manifest import Bundled, Entry, Manual

BUNDLED = Path(__file__).parent / "bundled"
CHUNK = 1 << 20
ELSEWHERE = "SR_ZOO_CACHE names another folder"


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a weight file.

    Raises:
        CheckpointError: It cannot be opened, or not be read within the context.
    """
    with _naming(path), path.open("rb") as file:
        yield file


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def is_file(path: Path) -> bool:
    """Return whether a path is that of a file.

    Raises:
        CheckpointError: The system does not say, for instance since a folder may not be searched.
    """
    with _naming(path):
        return path.is_file()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        CheckpointError: It cannot be read.
    """
    digest = hashlib.sha256()
    with reading(path) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Return the folder that fetched files are kept in; it may not exist yet."""
    named = os.environ.get("SR_ZOO_CACHE")
    if named:
        return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "sr_zoo"


def hub_cache() -> Path | None:
    """Return the folder for repositories of the Hub; None for the one all of its users share."""
    return cache_folder() / "hub" if os.environ.get("SR_ZOO_CACHE") else None


@contextmanager
def filling_cache() -> Iterator[None]:
    """Say, where the cache cannot be written to, what names another.

    Raises:
        FileWriteError: It was raised inside.
    """
    try:
        yield
    except FileWriteError as error:
        raise FileWriteError(f"{error}; {ELSEWHERE}") from error


def path_of(entry: Entry) -> Path:
    """Return where the file of an entry is, or will be once it is fetched."""
    if isinstance(entry.source, Bundled):
        return BUNDLED / entry.source.file
    return cache_folder() / "files" / entry.sha256 / entry.file_name


def is_here(entry: Entry) -> bool:
    """Return whether an entry's file is on this machine and is the one that the manifest names.

    Raises:
        CheckpointError: There is something that cannot be read.
    """
    path = path_of(entry)
    return is_file(path) and path.stat().st_size == entry.bytes and _matches(path, entry)


def _matches(path: Path, entry: Entry) -> bool:
    return sha256_of(path) == entry.sha256


def locate(entry: Entry) -> Path:
    """Return a verified local file of a manifest entry; fetches it when it is not here yet.

    Raises:
        DownloadError: It could not be fetched.
        WeightsIntegrityError: It is not the file that the manifest names.
        CheckpointError: The cache cannot be read.
    """
    path = path_of(entry)
    if is_here(entry):
        return path
    if isinstance(entry.source, Bundled):
        raise WeightsIntegrityError(
            f"{path} is missing or damaged (its SHA-256 is not {entry.sha256}): reinstall sr_zoo."
        )
    if isinstance(entry.source, Manual):
        wanted = entry.source.archive or entry.source.file
        other = " The file that is there now is another one." if is_file(path) else ""
        raise DownloadError(
            f"{entry.id} can only be downloaded in a browser: get {wanted} from "
            f"{entry.source.page} and run `sr-zoo weights import {quote(wanted)}`, "
            f"which puts it at {path}.{other}"
        )
    from sr_zoo.weights.fetch import fetch

    fetch(entry, path)
    return path


def put(entry: Entry, file: Path) -> Path:
    """Copy a file of the user's into the cache as that of an entry.

    Raises:
        WeightsIntegrityError: It is not the file that the manifest names.
        FileWriteError: The cache cannot be written to, or the disk is full.
    """
    if not _matches(file, entry):
        raise WeightsIntegrityError(f"{file} is not the file of {entry.id}: its SHA-256 differs.")
    return keep(entry, file.read_bytes())


def keep(entry: Entry, content: bytes) -> Path:
    """Write the content of an entry's file, verified before, to the cache.

    Raises:
        FileWriteError: The cache cannot be written to, or the disk is full.
    """
    path = path_of(entry)
    with filling_cache():
        make_folder(path.parent)
        write_atomically(path, content)
    return path


class Converted:
    """The cached file of an entry in our layout.

    Args:
        entry: Whose file was converted.
        version: Of the rules that converted it; other versions are not seen.
    """

    def __init__(self, entry: Entry, version: str) -> None:
        self.folder = cache_folder() / "converted" / entry.sha256
        self.prefix = f"{entry.model}_x{entry.scale}.{version[:16]}."

    def is_here(self) -> bool:
        """Return whether there is one, good or damaged."""
        return bool(self._files())

    def read(self) -> bytes | None:
        """Return the file's content, or None if there is none or it is damaged."""
        for path in self._files():
            digest = path.name.removeprefix(self.prefix).removesuffix(".safetensors")
            with suppress(OSError):
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() == digest:
                    return content
                path.unlink()
        return None

    def _files(self) -> list[Path]:
        with suppress(OSError):  # where the cache is not readable, there are none
            return list(self.folder.glob(f"{self.prefix}*.safetensors"))
        return []

    def write(self, content: bytes) -> None:
        """Keep the file's content; where the cache is not writable, nothing happens."""
        digest = hashlib.sha256(content).hexdigest()
        with suppress(FileWriteError):
            make_folder(self.folder)
            write_atomically(self.folder / f"{self.prefix}{digest}.safetensors", content)
