"""How much memory a network needs, and how large a tile may be for it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sr_zoo.errors import OutOfMemoryError
from sr_zoo.inference.runtimes.exported import ExportedNetwork
from sr_zoo.network import SRNetwork, device_of, weight_of

PROBE_SIDE = 48  # LR pixels; enough that fixed costs do not matter
CPU_BUDGET = 2 << 30  # bytes that the features of one tile may take on the CPU, at most
FREE_SHARE = 0.5  # of the free memory, likewise
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# by what the kernel calls the controllers of a hierarchy: its folder, and files in a group's folder
# with the limit and with what is used; a line of memory.stat says how much of that is file cache
MEMORY_FILES = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": (
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}
SMALLEST_CORE = 64  # LR pixels
# bytes that a pixel of a picture takes until it is written, as float32 and as what the file holds:
# from the peaks of outputs of 16 and 64 megapixels
OUTPUT_PIXEL = 26
LARGE_OUTPUT = 1 << 26  # pixels; looking at the memory for fewer is not worth its time


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of the tensors made inside ``with PeakMemory() as memory:``.

    Attributes:
        peak: Most bytes alive at the same time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # else the first call imports torch's compiler, which takes a second, and 80 MB for good
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages(args)}
        for storage in _storages(result):
            if storage._cdata not in given:  # else it is a view, or written in place
                self._hold(storage)
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self._alive += size
        self.peak = max(self.peak, self._alive)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self._alive -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    leaves = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))
    return [tensor.untyped_storage() for tensor in leaves]


@torch.inference_mode()
def bytes_per_pixel(network: SRNetwork) -> float:
    """Measure the memory that a network's features take per LR pixel, in bytes."""
    if isinstance(network, ExportedNetwork):
        return network.facts.bytes_per_pixel
    weight = weight_of(network)
    image = torch.rand(1, 3, PROBE_SIDE, PROBE_SIDE, device=weight.device, dtype=weight.dtype)
    with PeakMemory() as memory:
        network(image)
    return memory.peak / PROBE_SIDE**2


def free_memory() -> float:
    """Return the bytes of main memory that are free, for the container or service that this is."""
    return min([float(psutil.virtual_memory().available), *_free_in_groups()])


def check_room(height: int, width: int) -> None:
    """Raise OutOfMemoryError if a picture of this size is more than can be held at once.

    Where systems promise memory that they lack, the process would be ended without a word.
    """
    if height * width < LARGE_OUTPUT:
        return
    needed, free = height * width * OUTPUT_PIXEL, free_memory() + psutil.swap_memory().free
    if needed > free:
        raise OutOfMemoryError(
            f"An output of {width}x{height} pixels takes about {needed / 1e9:.3g} GB of memory, "
            f"and {free / 1e9:.3g} GB are free; files that are written as .tif or .png go through "
            "in strips (sr_zoo[huge]), or ask for a smaller output"
        )


def _free_in_groups() -> Iterator[float]:
    """Yield what the limits of Linux' control groups leave, the outer ones' included."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in MEMORY_FILES:
            continue
        root, limit, used, cache = MEMORY_FILES[controllers]
        group = Path(path.strip("/"))
        # a container that sees its host's name for its group finds its own files at the root
        for each in (group, *group.parents):
            folder = CGROUPS / root / each
            try:
                most, taken = (folder / limit).read_text(), int((folder / used).read_text())
                words = (folder / "memory.stat").read_text().split()
            except (OSError, ValueError):
                continue
            if most.strip() != "max":
                cached = dict(zip(words[::2], words[1::2], strict=False)).get(cache, 0)
                yield int(most) - taken + int(cached)


def largest_core(network: SRNetwork, halo: int, grid: int, *, most: float = CPU_BUDGET) -> int:
    """Return the side of the largest tile core, in LR pixels, that fits the memory to be used.

    Args:
        network: On the device it will run on.
        halo: LR pixels around the core.
        grid: The result is a multiple of this.
        most: Bytes of main memory that the features should take. A wide halo may take more, as much
            as is free, until the core is as wide: below, nearly all work would go into the halo.
    """
    device = device_of(network)
    pixel = bytes_per_pixel(network)
    if device.type == "cuda":
        budget = FREE_SHARE * torch.cuda.mem_get_info(device)[0]
    else:
        budget = min(max(most, (3 * halo) ** 2 * pixel), FREE_SHARE * free_memory())
    core = max(int((max(budget, 0) / pixel) ** 0.5) - 2 * halo, SMALLEST_CORE)
    return max(core // grid, 1) * grid
