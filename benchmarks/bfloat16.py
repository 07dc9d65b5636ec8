"""What OpenVINO gains from computing parts of a network in another way, by type.

A network is compiled for one size as it is exported, and with its means and norms over channels,
its error functions, and both replaced (`sr_zoo.export.bfloat16`); all take turns. Weights are
random, which costs the same time. To be run where the processor multiplies bfloat16 itself. Prints
a table of docs/benchmarks.md:
``python benchmarks/bfloat16.py MODEL... > docs/measured/bfloat16.md``
"""

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino
import torch
from torch import Tensor

import sr_zoo
from sr_zoo.evaluation.speed import Contender, machine_line, race
from sr_zoo.export import export_model
from sr_zoo.export.bfloat16 import approximate_erf, rewrite, sum_by_convolution
from sr_zoo.export.openvino import HINTS

SCALE = 4
SIZE = (320, 180)
ROUNDS = 9
REWRITTEN = {
    "as exported": lambda _: None,
    "sums by convolutions": sum_by_convolution,
    "erf by a polynomial": approximate_erf,
    "both": rewrite,
}


def run(compiled: openvino.CompiledModel, image: Tensor) -> Tensor:
    """Enlarge an image; what is returned is overwritten by the next run."""
    return torch.from_numpy(compiled(image.numpy())[0])


def rows(model: str, folder: Path) -> None:
    """Export a network, time it in both types in every way, and print a row for each type."""
    path = folder / f"{model}.onnx"
    export_model(sr_zoo.create_model(model, SCALE, pretrained=False), path, to="onnx")
    core, sides = openvino.Core(), []
    for dtype, hint in HINTS.items():
        for way, change in REWRITTEN.items():
            program = core.read_model(path)
            change(program)
            program.reshape([1, 3, SIZE[1], SIZE[0]])
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            }
            compiled = core.compile_model(program, "CPU", settings)
            label = f"{dtype}, {way}"
            side = Contender(label, model, SCALE, "openvino", str(dtype), partial(run, compiled))
            sides.append(side)
    times = [timing.cpu_seconds for timing in race(sides, [SIZE], rounds=ROUNDS)]
    for i, dtype in enumerate(HINTS):
        first, *others = times[i * len(REWRITTEN) : (i + 1) * len(REWRITTEN)]
        cells = [f"{first * 1e3:.0f} ms"]
        cells += [f"{other * 1e3:.0f} ms ({first / other:.2f})" for other in others]
        print(f"| `{model}`, {dtype} |", " | ".join(cells), "|", flush=True)


def main(models: list[str]) -> None:
    """Print the table, a row for each model and type; how many times faster stands in brackets."""
    print(f"{machine_line()}; x{SCALE}, {SIZE[0]}x{SIZE[1]}\n")
    print("| network |", " | ".join(REWRITTEN), "|")
    print("|---" * (1 + len(REWRITTEN)) + "|")
    with torch.inference_mode(), TemporaryDirectory() as folder:
        for model in models:
            rows(model, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
