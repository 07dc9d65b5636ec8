"""Convolutions and linear layers as torch computes them by itself, and by oneDNN.

Both take turns on maps of 320 x 192, as attention networks have them of a 320 x 180 picture, with
one thread and with two; times are of the wall clock, on a machine that does nothing else. Prints a
table of docs/benchmarks.md:
``python benchmarks/onednn.py > docs/measured/onednn.md``
"""

from contextlib import nullcontext
from statistics import median
from time import perf_counter

import torch
from torch import nn

from sr_zoo.evaluation.speed import machine_line
from sr_zoo.inference.runtimes.kernels import CPUKernels

HEIGHT, WIDTH, WINDOW = 192, 320, 8
REPEATS = 25
WAYS = (nullcontext, CPUKernels)
SHAPES = ((36, 72), (60, 60), (60, 120), (120, 60), (60, 180), (64, 64), (180, 360))


def times(layer: nn.Module, x: torch.Tensor) -> list[float]:
    """Return the milliseconds of a layer, both ways."""
    kept: tuple[list[float], ...] = tuple([] for _ in WAYS)
    for _ in range(REPEATS):
        for seconds, way in zip(kept, WAYS, strict=True):
            with way():
                start = perf_counter()
                layer(x)
                seconds.append(perf_counter() - start)
    return [1e3 * median(seconds) for seconds in kept]


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    print(f"{machine_line().partition(', threads')[0]}:\n")
    cells = " | ".join(f"torch's own, {n} | oneDNN | faster" for n in ("one thread", "two threads"))
    print(f"| layer | channels | {cells} |")
    print("|---" * 8 + "|")
    for taken, given in SHAPES:
        image = torch.rand(1, taken, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
        tokens = torch.rand(1, HEIGHT * WIDTH // WINDOW**2, WINDOW**2, taken)
        layers = {
            "1x1 convolution": (nn.Conv2d(taken, given, 1), image),
            "linear": (nn.Linear(taken, given), tokens),
        }
        for name, (layer, x) in layers.items():
            layer.to(memory_format=torch.channels_last)
            found = []
            for threads in (1, 2):
                torch.set_num_threads(threads)
                usual, ours = times(layer, x)
                found.append(f"{usual:.1f} ms | {ours:.1f} ms | x{usual / ours:.2f}")
            print(f"| {name} | {taken} to {given} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
