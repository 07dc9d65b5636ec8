"""Peak memory and time of SeemoRe-T and RLFN on a 1280x720 picture, beside their authors' code.

Each runs once, in a process of its own with one thread; counted is what the process holds at most
beyond what it held before, output included: with freed memory given back to the system at once,
which shows what is in use, and as both run by themselves, which is not twice the same: there five
processes are asked, and the least, the middle and the most are told. Prints the table of
docs/benchmarks.md: ``python benchmarks/memory.py CLONES > docs/measured/memory.md``

CLONES is as for benchmarks/authors.py. The weights are random: they change neither.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
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
    "Upscaler, float32, OpenVINO": {"dtype": "float32", "runtime": "openvino"},
    "Upscaler, bfloat16, OpenVINO": {"dtype": "bfloat16", "runtime": "openvino"},
}
RETURNED = (THEIRS, *(side for side in OURS if "OpenVINO" not in side))
AS_USUAL = (THEIRS, *(side for side in OURS if "tiles" not in side))
PROCESSES = 5  # as usual


def enlarger(name: str, side: str, clones: Path) -> Callable[[Tensor], Tensor]:
    """Return what enlarges."""
    if side == THEIRS:
        authors = authors_of(name, clones, SCALE)
        return authors.run(authors.build()[0])
    network = sr_zoo.create_model(name, SCALE, pretrained=False)
    return sr_zoo.Upscaler(network, **{"runtime": "torch", **OURS[side]}).tensor


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


def spread(values: list[float], unit: float, form: str) -> str:
    """Write the middle of sorted values, and between which they lie if there are several."""
    least, middle, most = (format(v / unit, form) for v in (values[0], median(values), values[-1]))
    return middle if len(values) == 1 else f"{middle} ({least} to {most})"


def main() -> None:
    """Print the table."""
    if sys.argv[1] == ALONE:
        measure(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
        return
    print(f"{machine_line()}\n")
    print(
        "| 1280x720 to 5120x2880 | freed memory goes back | peak memory, MiB | of theirs "
        "| CPU time | faster |"
    )
    print("|---" * 6 + "|")
    for name in MODELS:
        for returned, sides, times in ((RETURN_MEMORY, RETURNED, 1), ({}, AS_USUAL, PROCESSES)):
            settings = {"OMP_NUM_THREADS": "1", **returned}
            theirs: tuple[float, float] | None = None
            for side in sides:
                runs = [
                    ask(__file__, name, side, sys.argv[1], settings=settings) for _ in range(times)
                ]
                held, seconds = (sorted(each) for each in zip(*runs, strict=True))
                theirs = theirs or (median(held), median(seconds))
                taken = median(seconds)
                print(
                    f"| `{name}`, {side} | {'at once' if returned else 'as usual'} "
                    f"| {spread(held, 2**20, '.0f')} | {spread(held, theirs[0], '.2f')} "
                    f"| {taken:.0f} s | {theirs[1] / taken:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
