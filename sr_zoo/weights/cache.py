"""Where weight files lie on this machine; every one is verified before it is given out."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sr_zoo.errors import DownloadError, WeightsIntegrityError
from sr_zoo.weights.manifest import Bundled, Entry

BUNDLED = Path(__file__).parent / "bundled"
CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def locate(entry: Entry) -> Path:
    """Return a verified local file of a manifest entry; fetches it when it is not here yet.

    Raises:
        DownloadError: It could not be fetched.
        WeightsIntegrityError: It is not the file that the manifest names.
    """
    if isinstance(entry.source, Bundled):
        path = BUNDLED / entry.source.file
        if not path.is_file() or sha256_of(path) != entry.sha256:
            raise WeightsIntegrityError(
                f"{path} is missing or damaged (its SHA-256 is not {entry.sha256}): "
                "reinstall sr_zoo."
            )
        return path
    raise DownloadError(f"{entry.id} is not in this installation.")
