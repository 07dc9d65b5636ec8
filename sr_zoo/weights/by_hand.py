"""Files that a person downloaded, because no program can: found among the manifest's, and kept."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from sr_zoo.errors import CheckpointError, WeightsNotFoundError
from sr_zoo.weights.cache import is_file, keep, put, sha256_of
from sr_zoo.weights.manifest import Entry, load_manifest


def import_file(file: Path) -> list[tuple[Entry, Path]]:
    """Put a file into the cache; its SHA-256 tells which weights it is.

    Args:
        file: Weights as the manifest names them, or a zip archive that holds some.

    Returns:
        The entries that it serves, each with its place in the cache.

    Raises:
        WeightsNotFoundError: It does not exist, or is none that the manifest names.
        CheckpointError: It cannot be read, or is a damaged archive.
        FileWriteError: The cache cannot be written to, or the disk is full.
    """
    if not is_file(file):
        raise WeightsNotFoundError(f"No weight file at {file}.")
    found = [(entry, put(entry, file)) for entry in load_manifest().by_sha256(sha256_of(file))]
    if not found and zipfile.is_zipfile(file):
        found = _import_members(file)
    if not found:
        raise WeightsNotFoundError(
            f"{file} is none of the files that the manifest names. "
            "sr_zoo.load_model(FILE) loads a file of any origin."
        )
    return found


def _import_members(archive: Path) -> list[tuple[Entry, Path]]:
    found = []
    for content in _members(archive):
        entries = load_manifest().by_sha256(hashlib.sha256(content).hexdigest())
        found += [(entry, keep(entry, content)) for entry in entries]
    return found


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CheckpointError(
            f"{path} is a damaged zip archive: {error}; download it again"
        ) from error


def _members(path: Path) -> Iterator[bytes]:
    """Yield what an archive holds, of the sizes that weights have alone: others cost nothing."""
    sizes = {entry.bytes for entry in load_manifest().entries}
    with _opened(path) as archive:
        for member in archive.infolist():
            if member.file_size not in sizes:
                continue
            try:
                yield archive.read(member)
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
                continue  # damaged, encrypted, or packed in a way that Python does not know
