"""How much faster OpenVINO runs a network that it has compiled for one size alone.

``sr_zoo.Upscaler`` does that for a size that keeps coming. Weights are random, which costs the same
time. Prints a table of docs/benchmarks.md:
``python benchmarks/one_size.py MODEL... > docs/measured/one_size.md``
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import sr_zoo
from sr_zoo.evaluation.speed import Contender, machine_line, race
from sr_zoo.export import export_model
from sr_zoo.export.openvino import Program
from sr_zoo.inference.timing import timed

SCALE = 4
SIZE = (160, 96)
ROUNDS = 9


def row(model: str, folder: Path) -> str:
    """Export a network and time both of its programs."""
    path = folder / f"{model}.onnx"
    export_model(sr_zoo.create_model(model, SCALE, pretrained=False), path, to="onnx")
    for_any, for_one = timed(Program, path), timed(Program, path)
    # neither runs often enough to be compiled for the size on its own account
    settled = timed(for_one.result.settle, (1, 3, SIZE[1], SIZE[0]))
    sides = [
        Contender(label, model, SCALE, "openvino", "float32", each.result)
        for label, each in (("any size", for_any), ("one size", for_one))
    ]
    slow, fast = (timing.cpu_seconds for timing in race(sides, [SIZE], rounds=ROUNDS))
    return (
        f"| `{model}` | {slow * 1e3:.0f} ms | {fast * 1e3:.0f} ms | {slow / fast:.2f} "
        f"| {for_any.seconds:.1f} s | {settled.seconds:.1f} s |"
    )


def main(models: list[str]) -> None:
    """Print the table, a row for each model."""
    print(f"{machine_line()}; x{SCALE}, {SIZE[0]}x{SIZE[1]}\n")
    print("| network | any size | one size | faster | opening takes | compiling for one size |")
    print("|---|---|---|---|---|---|")
    with torch.inference_mode(), TemporaryDirectory() as folder:
        for model in models:
            print(row(model, Path(folder)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
