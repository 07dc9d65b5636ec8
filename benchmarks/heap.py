"""What keeping freed memory while a network runs saves, beside the C library's own way.

Each network enlarges the same picture in PyTorch, in a process of its own, both ways in turn.
Prints a table of docs/benchmarks.md, with the processor time of one thread for the fastest image,
the most memory that the process took, and what it still held after its last image:
``python benchmarks/heap.py MODEL... > docs/measured/heap.md``
"""

import json
import sys
from statistics import median
from time import process_time

import torch
from alone import ALONE, ask, peak_resident, resident

import sr_zoo
from sr_zoo.evaluation.speed import machine_line

SIZES = ((320, 180), (640, 480))
IMAGES, ROUNDS = 2, 3
# a setting of the C library of which it says by itself the same; the library then leaves it alone
WAYS = ({"MALLOC_ARENA_TEST": "8"}, {})


def serve(model: str, width: int, height: int) -> None:
    """Enlarge a picture some times; print seconds, and the bytes at most and afterwards."""
    torch.set_num_threads(1)
    network = sr_zoo.create_model(model, 4, pretrained=False)
    upscaler = sr_zoo.Upscaler(network, tile=None, runtime="torch", dtype="float32")
    image, before, seconds = torch.rand(1, 3, height, width), resident(), []
    for _ in range(IMAGES):
        start = process_time()
        upscaler.tensor(image)
        seconds.append(process_time() - start)
    print(json.dumps([min(seconds), peak_resident() - before, resident() - before]))


def main(models: list[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"{machine_line()}:\n")
    heads = ("network", "picture", "as usual", "kept", "faster")
    print(f"| {' | '.join(heads)} | most memory, as usual | kept | afterwards, as usual | kept |")
    print("|---" * 9 + "|")
    for model in models:
        for size in SIZES:
            arguments = (__file__, model, *map(str, size))
            rounds = [[ask(*arguments, settings=way) for way in WAYS] for _ in range(ROUNDS)]
            usual, kept = (
                [median(values) for values in zip(*way, strict=True)]
                for way in zip(*rounds, strict=True)
            )
            memory = [f"{way[i] / 2**20:.0f} MiB" for i in (1, 2) for way in (usual, kept)]
            print(
                f"| `{model}` | {size[0]}x{size[1]} | {usual[0]:.2f} s | {kept[0]:.2f} s |",
                f"x{usual[0] / kept[0]:.2f} | {' | '.join(memory)} |",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1] == ALONE:
        serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(sys.argv[1:])
