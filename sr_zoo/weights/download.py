"""Files from the web: to a temporary name, verified, and only then to their place.

`HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` and the usual proxy variables are obeyed. Without a network
the error comes in less than a second, also where packets just vanish; `SR_ZOO_TIMEOUT` is the
seconds to wait for a server that is far away.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from filelock import FileLock, Timeout

from sr_zoo.errors import DownloadError, OptionError, WeightsIntegrityError
from sr_zoo.progress import unwatched
from sr_zoo.weights.cache import ELSEWHERE, cache_folder, sha256_of

PATIENCE = 0.8  # seconds until a server must have answered at all
TIMEOUT = (5.0, 20.0, 20.0, 5.0)  # seconds to connect, read, write, wait for a connection
LIMIT = 1 << 34  # bytes, where neither the caller nor the server says how many there are
PAUSES = (0.2, 0.6)  # seconds before another attempt, where one can help
BUSY = {429, 500, 502, 503, 504}
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # the first that is set counts, as for the Hub
PROXIES = (
    "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY have the form http://host:port, or socks5://host:port "
    "after `pip install socksio`"
)
TRUE = {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True)
class Remote:
    """A file on the web.

    Attributes:
        name: What messages and the progress bar call it.
        url: Where it is, mirrors considered.
        sha256: 64 hexadecimal digits.
        bytes: Its size, or None if that is not known.
        on_hub: Whether the user's token for the Hub goes with the request.
        advice: What a user without a network can do.
    """

    name: str
    url: str
    sha256: str
    bytes: int | None = None
    on_hub: bool = False
    advice: str = ""


class _BusyError(Exception):
    """The server cannot answer now, or broke off."""


def offline() -> str:
    """Return the variable by which the user forbids to use the network; empty if none does."""
    variable = next((name for name in OFFLINE if os.environ.get(name)), "")
    return variable if os.environ.get(variable, "").upper() in TRUE else ""


def download(remote: Remote, target: Path) -> None:
    """Download a file, unless it is there.

    Several processes that want the same file fetch it once. What a killed one left is continued.

    Raises:
        DownloadError: It could not be fetched, or not written.
        WeightsIntegrityError: The server's file is another one.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with taking_turns(remote.sha256):
            if not (target.is_file() and sha256_of(target) == remote.sha256):
                _fetch(remote, target)
    except DownloadError:
        raise
    except OSError as error:
        in_cache = target.is_relative_to(cache_folder())
        raise DownloadError(
            f"{remote.name} cannot be written to {target.parent} ({error.strerror or error})"
            f"{f'; {ELSEWHERE}' if in_cache else ''}."
        ) from error


@contextmanager
def taking_turns(key: str, *, timeout: float = -1) -> Iterator[None]:
    """Wait until no other process does the same thing, and let others wait meanwhile.

    Args:
        key: Names the thing.
        timeout: Seconds to wait at most; without end if negative.

    Raises:
        filelock.Timeout: Another process did not end within that time.
        DownloadError: The cache, where the lock is, cannot be written to.
    """
    folder = cache_folder() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        turn = FileLock(folder / f"{key}.lock").acquire(timeout=timeout)
    except Timeout:  # an OSError, too
        raise
    except OSError as error:
        raise DownloadError(
            f"{folder}: cannot be written to ({error.strerror or error}); {ELSEWHERE}."
        ) from error
    with turn:
        yield


def _fetch(remote: Remote, target: Path) -> None:
    if variable := offline():
        raise DownloadError(
            f"{remote.name} is not on this machine and {variable} is set. {remote.advice}"
        )
    partial = target.with_name(f".{target.name}.part")
    resumed = partial.exists()
    _complete(remote, partial)
    if resumed and sha256_of(partial) != remote.sha256:  # what was continued may have been damaged
        partial.unlink()
        _complete(remote, partial)
    digest = sha256_of(partial)
    if digest != remote.sha256:
        partial.unlink()
        raise WeightsIntegrityError(
            f"{remote.url} is not the file that was asked for as {remote.name}: its SHA-256 is not "
            f"{remote.sha256} but {digest}. Nothing was kept."
        )
    partial.replace(target)


def _complete(remote: Remote, partial: Path) -> None:
    """Bring a partial file to its full size.

    Raises:
        DownloadError: The server is out of reach, refuses, or breaks off again and again.
    """
    if remote.bytes is not None and partial.exists() and partial.stat().st_size == remote.bytes:
        return None
    problem = obstacle(remote.url)
    if problem:
        raise DownloadError(
            f"{remote.name} could not be fetched: {problem}. {remote.advice}".rstrip()
        )
    from huggingface_hub import get_session

    client = get_session()
    package = next(c for c in type(client).__mro__ if c.__module__.startswith("httpx")).__module__
    transport_error = import_module(package.partition(".")[0]).HTTPError
    for pause in (*PAUSES, None):
        try:
            return _request(client, remote, partial)
        except (_BusyError, transport_error) as error:
            if pause is None:
                raise DownloadError(
                    f"{remote.name} could not be fetched from {remote.url}: {error}. "
                    f"Another try goes on where this one stopped. {remote.advice}"
                ) from error
            time.sleep(pause)
    return None


def obstacle(url: str) -> str:
    """Return what keeps a request from an address, for a message; empty where somebody answers."""
    parts = urlsplit(url)
    proxies = {} if proxy_bypass(parts.netloc) else getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    try:
        host = urlsplit(proxy if "://" in proxy else f"//{proxy}") if proxy else parts
        port = host.port or (443 if host.scheme == "https" else 80)
    except ValueError as error:  # the proxy itself is not shown: a password may be in it
        return f"the proxy for {parts.scheme} has no valid address ({error}); {PROXIES}"
    problem = _knock(host.hostname or "", port, _patience())
    return f"{url} cannot be reached ({problem})" if problem else _no_client()


def _no_client() -> str:
    """Return why the environment lets no connection be made, or an empty string."""
    from huggingface_hub import get_session

    try:
        get_session()
    except Exception as error:  # it looks at nothing but the environment
        return f"no connection can be made ({str(error).partition('. ')[0]}); {PROXIES}"
    return ""


def _patience() -> float:
    text = os.environ.get("SR_ZOO_TIMEOUT", str(PATIENCE))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise OptionError(f"SR_ZOO_TIMEOUT must be a number of seconds above 0, got {text!r}")
    return seconds


_answered: set[tuple[str, int]] = set()


def _knock(host: str, port: int, seconds: float) -> str:
    """Return what keeps one from connecting, or an empty string.

    All addresses are tried at once, since one that leads nowhere (often the first, IPv6) takes all
    the time there is; in threads, since a name server that does not answer obeys no timeout.
    """
    if (host, port) in _answered:
        return ""
    answers: Queue[str] = Queue()
    Thread(target=_try_all, args=(host, port, seconds, answers), daemon=True).start()
    try:
        problem = answers.get(timeout=seconds)
    except Empty:
        return f"{host}:{port} did not answer within {seconds:g} s (SR_ZOO_TIMEOUT waits longer)"
    if not problem:
        _answered.add((host, port))
    return problem


def _try_all(host: str, port: int, seconds: float, answers: Queue[str]) -> None:
    """Connect to all addresses of a host; put "" for each that answers, or why none does."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        answers.put(str(error))
        return
    problems: list[str] = []

    def connect(family: int, address: Any) -> None:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as knocking:
                knocking.settimeout(seconds)
                knocking.connect(address)
            answers.put("")
        except TimeoutError:  # who waits for the answers says so
            pass
        except OSError as error:
            problems.append(str(error))

    threads = [Thread(target=connect, args=(f, a), daemon=True) for f, _, _, _, a in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for problem in problems[:1]:
        answers.put(problem)


def _request(client: Any, remote: Remote, partial: Path) -> None:
    from huggingface_hub import get_token

    headers = {"Accept-Encoding": "identity"}
    token = get_token() if remote.on_hub else None
    if token:
        headers["Authorization"] = f"Bearer {token}"
    have = partial.stat().st_size if partial.exists() else 0
    if remote.bytes is not None and have > remote.bytes:
        partial.unlink()
        have = 0
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream(
        "GET", remote.url, headers=headers, follow_redirects=True, timeout=TIMEOUT
    ) as response:
        if have and response.status_code == 416:  # nothing is left to send
            return
        _check(response, remote, have)
        _receive(response, remote, partial, have if response.status_code == 206 else 0)


def _check(response: Any, remote: Remote, have: int) -> None:
    status = response.status_code
    if status in BUSY:
        raise _BusyError(f"the server answers {status}")
    if status in (401, 403):
        raise DownloadError(
            f"{remote.url} answers {status}: the repository is private or gated. "
            "Accept its terms and set HF_TOKEN."
        )
    if status not in (200, 206):
        raise DownloadError(f"{remote.url} answers {status}. {remote.advice}")
    length = response.headers.get("content-length")
    if remote.bytes is None or length is None:
        return
    rest = remote.bytes - (have if status == 206 else 0)
    if int(length) != rest:
        kind = response.headers.get("content-type", "").partition(";")[0]
        what = "a web page" if kind == "text/html" else f"{length} bytes"
        raise WeightsIntegrityError(
            f"{remote.url} sends {what} instead of the {rest} bytes of {remote.name}. "
            "Nothing was kept."
        )


def _receive(response: Any, remote: Remote, partial: Path, have: int) -> None:
    from tqdm import tqdm

    length = response.headers.get("content-length")
    size = remote.bytes if length is None else have + int(length)
    with (
        partial.open("ab" if have else "wb") as file,
        tqdm(
            total=size,
            initial=have,
            desc=remote.name,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=unwatched(),
        ) as progress,
    ):
        for chunk in response.iter_raw():
            have += len(chunk)
            if have > (LIMIT if size is None else size):
                file.close()
                partial.unlink()
                raise WeightsIntegrityError(
                    f"{remote.url} sends more than the {size or LIMIT} bytes of {remote.name}. "
                    "Nothing was kept."
                )
            file.write(chunk)
            progress.update(len(chunk))
    if size is not None and have < size:
        raise _BusyError(f"the server broke off {size - have} bytes early")
