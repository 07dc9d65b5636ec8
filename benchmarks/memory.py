"""Peak memory and time of SeemoRe-T and RLFN on a 1280x720 picture, beside their authors' code.

Each runs once, in a process of its own with one thread; counted is what the process holds at most
beyond what it held before, output included: with freed memory given back to the system at once,
which shows what is in use, and as both run by themselves. Prints the table of docs/benchmarks.md:
``python benchmarks/memory.py CLONES > docs/measured/memory.md``

CLONES is as for benchmarks/authors.py. The weights are random: they change neither.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

import torch
from alone import ALONE, RETURN_MEMORY, ask, forget_peak, peak_resident, resident
from authors import authors_of
from torch import Tensor

import sr_zoo
from sr_zoo.evaluation.speed import machine_line

SCALE = 4
HEIGHT, WIDTH = 720, 1280
MODELS = ("seemore_t", "rlfn")
THEIRS = "the authors' code"
OURS = {
    "Upscaler, float32": {"dtype": "float32"},
    "Upscaler, bfloat16": {"dtype": "bfloat16"},
    "Upscaler, float32, tiles of 256": {"dtype": "float32", "tile": 256},
}
AS_USUAL = (THEIRS, "Upscaler, float32")


def enlarger(name: str, side: str, clones: Path) -> Callable[[Tensor], Tensor]:
    """Return what enlarges."""
    if side == THEIRS:
        authors = authors_of(name, clones, SCALE)
        return authors.run(authors.build()[0])
    network = sr_zoo.create_model(name, SCALE, pretrained=False)
    return sr_zoo.Upscaler(network, runtime="torch", **OURS[side]).tensor


def measure(name: str, side: str, clones: Path) -> None:
    """Run once; print bytes and seconds."""
    torch.set_num_threads(1)
    enlarge = enlarger(name, side, clones)
    image = torch.rand(1, 3, HEIGHT, WIDTH)
    with torch.inference_mode():
        enlarge(image[..., :32, :32])  # loads libraries
        before = resident()
        forget_peak()
        start = process_time()
        enlarge(image)
    print(json.dumps([peak_resident() - before, process_time() - start]))


def main() -> None:
    """Print the table."""
    if sys.argv[1] == ALONE:
        measure(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
        return
    print(f"{machine_line()}\n")
    print(
        "| 1280x720 to 5120x2880 | freed memory goes back | peak memory | of theirs | CPU time "
        "| faster |"
    )
    print("|---" * 6 + "|")
    for name in MODELS:
        for returned, sides in ((RETURN_MEMORY, (THEIRS, *OURS)), ({}, AS_USUAL)):
            settings = {"OMP_NUM_THREADS": "1", **returned}
            theirs: tuple[float, float] | None = None
            for side in sides:
                held, seconds = ask(__file__, name, side, sys.argv[1], settings=settings)
                theirs = theirs or (held, seconds)
                print(
                    f"| `{name}`, {side} | {'at once' if returned else 'as usual'} "
                    f"| {held / 2**20:.0f} MiB | {held / theirs[0]:.2f} "
                    f"| {seconds:.0f} s | {theirs[1] / seconds:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
