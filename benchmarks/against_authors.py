"""Time and memory of the networks beside their authors' code.

Each network and its authors' run in turn, in a process of their own with one thread, on the same
320 x 180 picture with the same weights. Ours runs as `upscale` runs it in PyTorch, and again by
OpenVINO where it can be exported; theirs as their own test code does. Outputs that are not equal
within 1e-4 of the largest value stop it. Prints a markdown table; docs/measured/against_authors.md
holds it:
``python benchmarks/against_authors.py CLONES JOURNAL > docs/measured/against_authors.md``

CLONES is as for benchmarks/authors.py. JOURNAL is a JSON file that keeps what was measured; further
arguments name the networks to measure again.
"""

import json
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import torch
from alone import (
    ALONE,
    RETURN_MEMORY,
    environment_of,
    forget_peak,
    peak_resident,
    resident,
)
from authors import NOT_RUN, Network, authors_of, models

import sr_zoo
from sr_zoo.evaluation.speed import machine_line
from sr_zoo.inference.runtimes.eager import TorchRunner
from sr_zoo.inference.runtimes.prepared import PreparedRunner
from sr_zoo.registry import spec_of
from sr_zoo.weights.convert import converter_of

HEIGHT, WIDTH = 180, 320
THREADS = 1  # of two that share a busy machine, one waits for the other, and its time counts
SIDES = ("theirs", "ours", "openvino")
# after one whose time does not count: as many turns as fill these seconds
SECONDS, FEWEST, MOST = 2.0, 3, 15
TOLERANCE = 1e-4


def build(side: str, name: str, clones: Path) -> Network:
    """Return the network of one side, ready to run; both have the same weights."""
    authors = authors_of(name, clones)
    theirs, state = authors.build()
    if side == "theirs":
        return authors.run(theirs)
    network = sr_zoo.create_model(name, authors.scale, pretrained=False)
    network.load_state_dict(converter_of(spec_of(name).network).load(state))
    network = sr_zoo.fuse(network)
    runner = TorchRunner(network) if side == "ours" else PreparedRunner(side, network)
    return authors.shown(runner)


def serve(side: str, name: str, clones: Path, output: Path) -> None:
    """Build a network, then run it once for each line of standard input; print the seconds."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(THREADS)
    with redirect_stdout(sys.stderr):  # some of the authors' networks say how they are built
        network = build(side, name, clones)
    channels = authors_of(name, clones).channels
    image = torch.rand(1, channels, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    before = resident()
    forget_peak()
    with torch.inference_mode():
        for _ in sys.stdin:
            start = process_time()  # what others run meanwhile does not count
            result = network(image)
            seconds = process_time() - start
            torch.save(result.clone(), output)
            print(json.dumps([seconds, peak_resident() - before]), flush=True)


def measure(name: str, clones: Path) -> dict[str, Any]:
    """Run all sides in turn; return seconds, bytes and how far outputs are from the authors'."""
    seen: dict[str, list[float]] = {side: [] for side in SIDES}
    held: dict[str, int] = {}
    with TemporaryDirectory() as folder:
        outputs = {side: Path(folder) / side for side in SIDES}
        for side in ("theirs", "ours"):
            alone = start(side, name, clones, outputs[side], RETURN_MEMORY)
            if answer := ask(alone):
                held[side] = int(answer[1])
            alone.communicate()
        workers = {side: start(side, name, clones, outputs[side], {}) for side in SIDES}
        turns = 1 + FEWEST
        while len(seen["theirs"]) < turns:
            for side in tuple(workers):
                if answer := ask(workers[side]):
                    seen[side].append(answer[0])
                else:  # it ended: what OpenVINO does not take is no side
                    del workers[side], seen[side]
            if "theirs" not in seen:
                raise SystemExit(f"{name}: its authors' code does not run")
            turns = 1 + min(max(FEWEST, round(SECONDS / seen["theirs"][-1])), MOST)
        for worker in workers.values():
            worker.communicate()
        found = {side: torch.load(outputs[side]) for side in seen}
    theirs = found["theirs"]
    row: dict[str, Any] = {"machine": machine_line(), "largest": theirs.abs().max().item()}
    for side, seconds in seen.items():
        difference = (found[side] - theirs).abs().max().item()
        if difference > TOLERANCE * max(1.0, row["largest"]):
            raise SystemExit(f"{name}: {side} differs by {difference:.1e} of {row['largest']:.1e}")
        row[f"{side}_difference"] = difference
        row[f"{side}_seconds"] = median(seconds[1:])
    return {**row, **{f"{side}_bytes": count for side, count in held.items()}}


def start(
    side: str, name: str, clones: Path, output: Path, settings: dict[str, str]
) -> "subprocess.Popen[str]":
    """Start a process that runs one side once for each line it is given."""
    return subprocess.Popen(
        [sys.executable, __file__, ALONE, side, name, str(clones), str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment_of({"OMP_NUM_THREADS": str(THREADS), **settings}),
    )


def ask(worker: "subprocess.Popen[str]") -> list[float]:
    """Let a worker run once; return seconds and bytes, or nothing if it could not be built."""
    try:
        worker.stdin.write("\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return []
    line = worker.stdout.readline()
    return json.loads(line) if line else []


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the page's text: a table for each machine and kind of network."""
    lines = [f"{WIDTH} x {HEIGHT}, float32; processor time of one thread.", ""]
    for machine in sorted({row["machine"] for row in rows.values()}, reverse=True):
        lines += [f"{machine}:", ""]
        measured = {name: row for name, row in rows.items() if row["machine"] == machine}
        attending = {name for name in measured if "transformer" in spec_of(name).tags}
        for kind, names in (
            ("transformers", attending),
            ("other networks", {*measured} - attending),
        ):
            if names:
                lines += [
                    f"| {kind} | faster, PyTorch | OpenVINO | less memory, PyTorch "
                    "| time, theirs | PyTorch | OpenVINO | peak memory, theirs | PyTorch |",
                    "|---" * 9 + "|",
                    *(_line(name, measured[name]) for name in sorted(names)),
                    "",
                ]
    unmeasured = "; ".join(f"{repository} {why}" for repository, why in NOT_RUN.items())
    return "\n".join([*lines, f"Not run: {unmeasured}."])


def _line(name: str, row: dict[str, Any]) -> str:
    theirs, ours = (row[f"{side}_seconds"] for side in ("theirs", "ours"))
    compiled = row.get("openvino_seconds")
    memory = [row[f"{side}_bytes"] / 2**20 for side in ("theirs", "ours")]
    cells = (
        f"`{name}`",
        f"x{theirs / ours:.2f}",
        f"x{theirs / compiled:.2f}" if compiled else "-",
        f"x{memory[0] / memory[1]:.2f}",
        *(f"{each:.3g} s" if each else "-" for each in (theirs, ours, compiled)),
        *(f"{each:.0f} MiB" for each in memory),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure what is missing, or what is named, and print the table."""
    if sys.argv[1] == ALONE:
        serve(sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
        return
    torch.set_num_threads(THREADS)  # as in the workers, for the machine's line
    clones, journal, named = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    rows = json.loads(journal.read_text()) if journal.exists() else {}
    for name in named or [name for name in models() if name not in rows]:
        rows[name] = measure(name, clones)
        print(name, rows[name], file=sys.stderr, flush=True)
        journal.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
