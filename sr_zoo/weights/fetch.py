"""Files of the manifest from the web.

`SR_ZOO_MIRROR` is where files pinned by URL are taken from instead (``MIRROR/HOST/PATH``),
`HF_ENDPOINT` does the same for the Hub.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from sr_zoo.errors import DownloadError, OptionError
from sr_zoo.weights.download import Remote, download
from sr_zoo.weights.manifest import Entry, Hub, Url

HUB = "https://huggingface.co"


def fetch(entry: Entry, path: Path) -> None:
    """Download the file of a manifest entry.

    Raises:
        DownloadError: It could not be fetched, or not written.
        WeightsIntegrityError: The server's file is not the one that the manifest names.
        OptionError: `SR_ZOO_MIRROR` or `HF_ENDPOINT` is no address.
    """
    remote = Remote(
        name=entry.id,
        url=address_of(entry),
        sha256=entry.sha256,
        bytes=entry.bytes,
        on_hub=isinstance(entry.source, Hub),
        advice=f"Run `sr-zoo weights fetch {entry.id}` where there is a network and copy the cache "
        "(SR_ZOO_CACHE), set SR_ZOO_MIRROR or HF_ENDPOINT to a mirror, or use weights inside the "
        "package: `sr-zoo weights list --bundled`.",
    )
    download(remote, path)


def endpoint() -> str:
    """Return the address of the Hub, or of the mirror in its place.

    Raises:
        OptionError: `HF_ENDPOINT` is no address.
    """
    return _mirror("HF_ENDPOINT") or HUB


def _mirror(variable: str) -> str:
    """Return the address that the environment gives; empty if it gives none."""
    address = os.environ.get(variable, "").rstrip("/")
    if address and not _is_of_a_server(address):
        raise OptionError(
            f"{variable}={address!r} is no address of a server; it has the form https://host/path"
        )
    return address


def _is_of_a_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def address_of(entry: Entry) -> str:
    """Return the address that an entry's file is fetched from, mirrors considered.

    Raises:
        DownloadError: It has none.
        OptionError: `SR_ZOO_MIRROR` or `HF_ENDPOINT` is no address.
    """
    source = entry.source
    if isinstance(source, Hub):
        return f"{endpoint()}/{source.repo}/resolve/{source.revision}/{source.file}"
    if not isinstance(source, Url):
        raise DownloadError(f"{entry.id} has no address to fetch it from.")
    mirror = _mirror("SR_ZOO_MIRROR")
    return f"{mirror}/{source.url.partition('://')[2]}" if mirror else source.url
