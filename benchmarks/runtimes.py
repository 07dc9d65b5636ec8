"""SeemoRe-T and RLFN in every runtime beside their authors' code, with the same real weights.

All take turns in one process, in inference mode, on one 320x180 picture enlarged by 4: in float32,
and in the type that ``dtype="auto"`` takes on this machine. Prints the table of docs/benchmarks.md;
float32 outputs that are not equal to the authors' within 1e-4 stop it:
``python benchmarks/runtimes.py CLONES RLFN_X4_PTH > docs/measured/runtimes.md``

CLONES is as for benchmarks/authors.py; the second argument is RLFN's published weight file.
"""

import os
import sys
from pathlib import Path

import torch
from authors import Authors, authors_of

import sr_zoo
from sr_zoo.errors import ExportError, OptionError
from sr_zoo.evaluation.speed import Contender, contender, machine_line, race, table
from sr_zoo.inference.runtimes.precision import pick_dtype
from sr_zoo.network import SRNetwork
from sr_zoo.weights.convert import converter_of

SCALE = 4
SIZE = (320, 180)
ROUNDS = 15
TOLERANCE = 1e-4


def theirs(authors: Authors, ours: SRNetwork) -> Contender:
    """Make the authors' network a contender, with our network's weights."""
    network, _ = authors.build()
    network.load_state_dict(converter_of(type(ours)).save(ours.state_dict()))
    name = authors.golden.model
    label = f"{name} x{SCALE}, the authors' code"
    return Contender(label, name, SCALE, "theirs", "float32", authors.run(network))


def main() -> None:
    """Print the table."""
    clones, weights = map(Path, sys.argv[1:])
    networks = {
        "seemore_t": sr_zoo.create_model("seemore_t", SCALE, pretrained="sr_zoo"),
        "rlfn": sr_zoo.create_model("rlfn", SCALE, checkpoint=weights),
    }
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(f"{machine_line()}. Load while measuring: {os.getloadavg()[0]:.1f}.\n")
    for name, ours in networks.items():
        contenders = [theirs(authors_of(name, clones), ours)]
        lower = pick_dtype("auto", ours, torch.device("cpu"))
        for dtype in dict.fromkeys((torch.float32, lower)):
            for runtime in ("torch", "onnxruntime", "openvino", "ncnn"):
                try:
                    contenders.append(contender(ours, runtime, dtype))
                except (ExportError, OptionError) as error:
                    print(error, file=sys.stderr)
        check(contenders)
        print(table(race(contenders, [SIZE], rounds=ROUNDS), contenders[0].label), "\n")


@torch.inference_mode()
def check(contenders: list[Contender]) -> None:
    """Stop where an output in float32 differs from the first contender's."""
    image = torch.rand(1, 3, 60, 80)
    first, *others = (each for each in contenders if each.dtype == "float32")
    expected = first.run(image)
    for each in others:
        difference = (each.run(image) - expected).abs().max().item()
        if difference > TOLERANCE:
            raise SystemExit(f"{each.label} differs by {difference:.1e}")


if __name__ == "__main__":
    main()
