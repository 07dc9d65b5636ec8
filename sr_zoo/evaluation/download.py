"""Files of test sets from the web: resumed where they stopped, verified before they count."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from sr_zoo.errors import DownloadError
from sr_zoo.weights.cache import sha256_of

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte


def fetch(url: str, target: Path, sha256: str) -> None:
    """Fetch a file, unless it is there; a partial one beside it is continued.

    Args:
        url: Where it is.
        target: Where it goes; its folder is made.
        sha256: 64 hexadecimal digits.

    Raises:
        DownloadError: It cannot be fetched, or is another file.
    """
    if target.exists():
        return
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise DownloadError(
            f"{url} is not on this machine, and HF_HUB_OFFLINE forbids to fetch it. Put the images "
            f"into {target.parent.parent}, or unset HF_HUB_OFFLINE."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    try:
        _continue(url, partial)
    except (OSError, ValueError) as error:
        raise DownloadError(
            f"{url} could not be fetched: {error}. Try again: it goes on where it stopped."
        ) from error
    digest = sha256_of(partial)
    if digest != sha256:
        partial.unlink()
        raise DownloadError(
            f"{url} gave another file: its SHA-256 is {digest}, not {sha256}. It was removed."
        )
    partial.replace(target)


def _continue(url: str, partial: Path) -> None:
    start = partial.stat().st_size if partial.exists() else 0
    request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            continued = response.status == 206  # a server may ignore the range and send everything
            expected = int(response.headers.get("Content-Length", 0))
            with partial.open("ab" if continued else "wb") as file:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
                    expected -= len(chunk)
        if expected > 0:
            raise OSError(f"the connection closed {expected} bytes early")
    except HTTPError as error:
        error.close()
        if error.code != 416:  # nothing is left to send
            raise
