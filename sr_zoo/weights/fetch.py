"""Files from the web: to a temporary name, verified, and only then to their place.

`SR_ZOO_MIRROR` is where files pinned by URL are taken from instead (``MIRROR/HOST/PATH``),
`HF_ENDPOINT` does the same for the Hub. `HF_HUB_OFFLINE` and the usual proxy variables are obeyed.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock

from sr_zoo.errors import DownloadError, WeightsIntegrityError
from sr_zoo.weights.cache import is_here, sha256_of
from sr_zoo.weights.manifest import Entry, Hub, Url

TIMEOUT = (5.0, 20.0, 20.0, 5.0)  # seconds to connect, read, write, wait for a connection
CHUNK = 1 << 16
PAUSES = (0.2, 0.6)  # seconds before another attempt, where one can help
BUSY = {429, 500, 502, 503, 504}
TRUE = {"1", "ON", "YES", "TRUE"}


class _BusyError(Exception):
    """The server cannot answer now, or broke off."""


def fetch(entry: Entry, path: Path) -> None:
    """Download the file of a manifest entry.

    Several processes that want the same file fetch it once. What a killed one left is continued.

    Raises:
        DownloadError: It could not be fetched, or not written.
        WeightsIntegrityError: The server's file is not the one that the manifest names.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE:
        raise DownloadError(
            f"{entry.id} is not on this machine and HF_HUB_OFFLINE is set. {_help(entry)}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not is_here(entry):
                _fetch(entry, path)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{entry.id} cannot be written to {path.parent}: {error}. "
            "SR_ZOO_CACHE names another folder."
        ) from error


def address_of(entry: Entry) -> str:
    """Return the address that an entry's file is fetched from, mirrors considered."""
    source = entry.source
    if isinstance(source, Hub):
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{endpoint}/{source.repo}/resolve/{source.revision}/{source.file}"
    if not isinstance(source, Url):
        raise DownloadError(f"{entry.id} has no address to fetch it from.")
    mirror = os.environ.get("SR_ZOO_MIRROR")
    return f"{mirror.rstrip('/')}/{source.url.partition('://')[2]}" if mirror else source.url


def _help(entry: Entry) -> str:
    return (
        f"Run `sr-zoo weights fetch {entry.id}` where there is a network and copy the cache, "
        "set SR_ZOO_MIRROR or HF_ENDPOINT to a mirror, or use weights inside the package: "
        "`sr-zoo weights list --bundled`."
    )


def _fetch(entry: Entry, path: Path) -> None:
    partial = path.with_name(f".{path.name}.part")
    resumed = partial.exists()
    _download(entry, partial)
    if sha256_of(partial) != entry.sha256 and resumed:  # what was continued may have been damaged
        partial.unlink()
        _download(entry, partial)
    if sha256_of(partial) != entry.sha256:
        partial.unlink()
        raise WeightsIntegrityError(
            f"{address_of(entry)} is not the file that the manifest names for {entry.id}: its "
            f"SHA-256 is not {entry.sha256}. Nothing was kept."
        )
    partial.replace(path)


def _download(entry: Entry, partial: Path) -> None:
    """Bring a partial file to its full size.

    Raises:
        DownloadError: The server is out of reach, refuses, or breaks off again and again.
    """
    from huggingface_hub.utils._http import get_session

    client = get_session()
    package = next(c for c in type(client).__mro__ if c.__module__.startswith("httpx")).__module__
    transport_error = import_module(package.partition(".")[0]).HTTPError
    for pause in (*PAUSES, None):
        try:
            return _request(client, entry, partial)
        except _BusyError as error:
            reason: Exception = error
            if pause is not None:
                time.sleep(pause)
        except transport_error as error:
            reason = error
            if not partial.exists() or pause is None:
                break
            time.sleep(pause)
    raise DownloadError(
        f"{entry.id} could not be fetched from {address_of(entry)}: {reason}. {_help(entry)}"
    ) from reason


def _request(client: Any, entry: Entry, partial: Path) -> None:
    from huggingface_hub.utils._headers import build_hf_headers

    headers = build_hf_headers() if isinstance(entry.source, Hub) else {}
    headers["Accept-Encoding"] = "identity"
    have = partial.stat().st_size if partial.exists() else 0
    if have >= entry.bytes:
        if have == entry.bytes:
            return
        partial.unlink()
        have = 0
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream(
        "GET",
        address_of(entry),
        headers=headers,
        follow_redirects=True,
        timeout=TIMEOUT,
    ) as response:
        _check(response, entry, have)
        _receive(response, entry, partial, have if response.status_code == 206 else 0)
    if partial.stat().st_size < entry.bytes:
        raise _BusyError("the server broke off")


def _check(response: Any, entry: Entry, have: int) -> None:
    status = response.status_code
    if status in BUSY:
        raise _BusyError(f"the server answers {status}")
    if status in (401, 403):
        raise DownloadError(
            f"{address_of(entry)} answers {status}: the repository is private or gated. "
            "Accept its terms and set HF_TOKEN."
        )
    if status not in (200, 206):
        raise DownloadError(f"{address_of(entry)} answers {status}. {_help(entry)}")
    rest = entry.bytes - (have if status == 206 else 0)
    length = response.headers.get("content-length")
    if length is not None and int(length) != rest:
        kind = response.headers.get("content-type", "").partition(";")[0]
        what = "a web page" if kind == "text/html" else f"{length} bytes"
        raise WeightsIntegrityError(
            f"{address_of(entry)} sends {what} instead of the {rest} bytes of {entry.id}. "
            "Nothing was kept."
        )


def _receive(response: Any, entry: Entry, partial: Path, have: int) -> None:
    from tqdm import tqdm

    with (
        partial.open("ab" if have else "wb") as file,
        tqdm(
            total=entry.bytes, initial=have, desc=entry.id, unit="B", unit_scale=True, disable=None
        ) as progress,
    ):
        for chunk in response.iter_bytes(CHUNK):
            have += len(chunk)
            if have > entry.bytes:
                file.close()
                partial.unlink()
                raise WeightsIntegrityError(
                    f"{address_of(entry)} sends more than the {entry.bytes} bytes of {entry.id}. "
                    "Nothing was kept."
                )
            file.write(chunk)
            progress.update(len(chunk))
