"""What sums over channels by convolutions save in OpenVINO's bfloat16, and cost in float32.

A network is compiled for one size as it is exported, and with its means and norms over channels
replaced (`sr_zoo.export.bfloat16`); both take turns. Weights are random, which costs the same
time. To be run where the processor multiplies bfloat16 itself. Prints a table of
docs/benchmarks.md:
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
from sr_zoo.export.bfloat16 import sum_by_convolution
from sr_zoo.export.openvino import HINTS

SCALE = 4
SIZE = (320, 180)
ROUNDS = 9


def run(compiled: openvino.CompiledModel, image: Tensor) -> Tensor:
    """Enlarge an image; what is returned is overwritten by the next run."""
    return torch.from_numpy(compiled(image.numpy())[0])


def row(model: str, folder: Path) -> str:
    """Export a network and time it in both types, as it is and rewritten."""
    path = folder / f"{model}.onnx"
    export_model(sr_zoo.create_model(model, SCALE, pretrained=False), path, to="onnx")
    core, sides, replaced = openvino.Core(), [], 0
    for dtype, hint in HINTS.items():
        for rewritten in (False, True):
            program = core.read_model(path)
            if rewritten:
                replaced = sum_by_convolution(program)
            program.reshape([1, 3, SIZE[1], SIZE[0]])
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            }
            compiled = core.compile_model(program, "CPU", settings)
            label = f"{dtype}, {'rewritten' if rewritten else 'as exported'}"
            side = Contender(label, model, SCALE, "openvino", str(dtype), partial(run, compiled))
            sides.append(side)
    times = [timing.cpu_seconds for timing in race(sides, [SIZE], rounds=ROUNDS)]
    pairs = zip(times[::2], times[1::2], strict=True)
    cells = [f"{a * 1e3:.0f} ms | {b * 1e3:.0f} ms | {a / b:.2f}" for a, b in pairs]
    return f"| `{model}` | {replaced} | " + " | ".join(cells) + " |"


def main(models: list[str]) -> None:
    """Print the table, a row for each model."""
    types = [str(dtype).removeprefix("torch.") for dtype in HINTS]
    heads = [f"{name}, reduced | by convolutions | faster" for name in types]
    print(f"{machine_line()}; x{SCALE}, {SIZE[0]}x{SIZE[1]}\n")
    print("| network | sums |", " | ".join(heads), "|")
    print("|---" * (2 + 3 * len(types)) + "|")
    with torch.inference_mode(), TemporaryDirectory() as folder:
        for model in models:
            print(row(model, Path(folder)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
