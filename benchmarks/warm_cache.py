"""What weights add to building a network once they are in the cache, without a network connection.

For every entry of the manifest whose file is in the cache, and those in the package, prints a
markdown table of the fastest of several tries: ``python benchmarks/warm_cache.py``.
"""

import socket
import time
from collections.abc import Callable

import torch

import sr_zoo
from sr_zoo.weights.cache import path_of
from sr_zoo.weights.manifest import load_manifest

TRIES = 7


class NoSocket(socket.socket):
    """Refuses to exist."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        raise AssertionError("a warm cache touched the network")


def fastest(build: Callable[[], object]) -> float:
    """Return the shortest processor time in milliseconds."""
    times = []
    for _ in range(TRIES):
        start = time.process_time()  # other programs on the machine do not count
        build()
        times.append((time.process_time() - start) * 1e3)
    return min(times)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| weights | size (MB) | built (ms) | built and loaded (ms) | difference (ms) |")
    print("|---|---|---|---|---|")
    entries = [entry for entry in load_manifest().entries if path_of(entry).is_file()]
    for entry in entries:
        sr_zoo.load_model(entry.id)  # converts the file, if that has not been done
        with_network, socket.socket = socket.socket, NoSocket  # type: ignore[misc]
        try:
            loaded = fastest(
                lambda e=entry: sr_zoo.create_model(e.model, e.scale, pretrained=e.tag)
            )
        finally:
            socket.socket = with_network  # type: ignore[misc]
        bare = fastest(lambda e=entry: sr_zoo.create_model(e.model, e.scale, pretrained=False))
        size = entry.num_params * 4 / 1e6
        print(f"| {entry.id} | {size:.1f} | {bare:.1f} | {loaded:.1f} | {loaded - bare:.1f} |")


if __name__ == "__main__":
    main()
