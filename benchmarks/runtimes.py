"""SeemoRe-T and RLFN in every runtime beside their authors' code, with the same real weights.

All take turns, in inference mode, on one 320x180 picture enlarged by 4: in float32, and in the type
that ``dtype="auto"`` takes on this machine. The authors' code has a process of its own, as where it
is run alone: a process that ours has run in keeps memory, which makes all that follows faster.
Prints the table of docs/benchmarks.md; float32 outputs that are not equal to the authors' within
1e-4 stop it:
``python benchmarks/runtimes.py CLONES RLFN_X4_PTH > docs/measured/runtimes.md``

CLONES is as for benchmarks/authors.py; the second argument is RLFN's published weight file.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from authors import authors_of
from torch import Tensor

import sr_zoo
from sr_zoo.errors import ExportError, OptionError
from sr_zoo.evaluation.speed import Contender, contender, machine_line, race, table
from sr_zoo.inference.runtimes.precision import pick_dtype
from sr_zoo.inference.timing import Timed, timed
from sr_zoo.network import SRNetwork
from sr_zoo.weights.convert import converter_of

SCALE = 4
SIZE = (320, 180)
ROUNDS = 15
TOLERANCE = 1e-4


class Theirs:
    """The authors' network in a process of its own, with the weights of ours.

    Args:
        name: Of the model.
        clones: As for benchmarks/authors.py.
        ours: Gives the weights.
    """

    def __init__(self, name: str, clones: Path, ours: SRNetwork) -> None:
        state = converter_of(type(ours)).save(ours.state_dict())
        processes = get_context("spawn")
        self._connection, other = processes.Pipe()
        arguments = (other, name, clones, {key: value.numpy() for key, value in state.items()})
        processes.Process(target=serve, args=arguments, daemon=True).start()

    def run(self, image: Tensor) -> Tensor:
        """Enlarge a picture."""
        self._connection.send(image.numpy())
        output, self._seconds, self._cpu_seconds = self._connection.recv()
        return torch.from_numpy(output)

    def timed(self, run: Callable[[Tensor], Tensor], image: Tensor) -> Timed[Tensor]:
        """Enlarge a picture; what the way there and back takes does not count."""
        return Timed(run(image), self._seconds, self._cpu_seconds)


@torch.inference_mode()
def serve(connection: Connection, name: str, clones: Path, state: dict[str, Any]) -> None:
    """Enlarge what comes, and send it back with the seconds that it took."""
    authors = authors_of(name, clones)
    network, _ = authors.build()
    network.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    torch.set_num_threads(threads())
    run = authors.run(network)
    with suppress(EOFError):  # where the other side ended
        while True:
            turn = timed(run, torch.from_numpy(connection.recv()))
            connection.send((turn.result.numpy(), turn.seconds, turn.cpu_seconds))


def threads() -> int:
    """Return how many threads both sides have."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def main() -> None:
    """Print the table."""
    clones, weights = map(Path, sys.argv[1:])
    networks = {
        "seemore_t": sr_zoo.create_model("seemore_t", SCALE, pretrained="sr_zoo"),
        "rlfn": sr_zoo.create_model("rlfn", SCALE, checkpoint=weights),
    }
    torch.set_num_threads(threads())
    print(f"{machine_line()}. Load while measuring: {os.getloadavg()[0]:.1f}.\n")
    for name, ours in networks.items():
        theirs = Theirs(name, clones, ours)
        label = f"{name} x{SCALE}, the authors' code"
        contenders = [
            Contender(label, name, SCALE, "theirs", "float32", theirs.run, timed=theirs.timed)
        ]
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
