"""Several processes that share a run, as torchrun starts them."""

import json
import os
import socket
import subprocess
import sys

from sr_zoo.training.state import load_state

STOPPED = """
import signal, sys, torch
from pathlib import Path
from sr_zoo.errors import TrainingError
from sr_zoo.training.distributed import joined
from sr_zoo.training.recipe import read_recipe
from sr_zoo.training.run import Run

def step(run, lr, hr, step=Run.step):
    step(run, lr, hr)
    if (run.processes.rank, run.iteration) == (1, 3):
        signal.raise_signal(signal.SIGTERM)

Run.step = step
recipe = read_recipe(sys.argv[1])
with joined(torch.device("cpu")) as processes:
    for length in (1000, 3):
        folder = Path(sys.argv[2], str(length))
        try:
            Run(recipe.changed({"iterations": length}), folder, processes, quiet=True).finish()
        except TrainingError as error:
            print(error)
"""


def both(code, *arguments):
    """Run two processes of one world; return what each has printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**os.environ, **address, "WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    try:
        printed = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()  # of one that has ended already, nothing
    assert [process.returncode for process in started] == [0, 0], printed
    return [out.strip() for out, _ in printed]


def test_a_signal_to_one_process_stops_all_at_the_same_iteration(tiny, tmp_path):
    """In the midst of a run, and in its last iteration, after which no other would tell of it."""
    (tmp_path / "recipe.json").write_text(json.dumps(tiny().to_mapping()))
    first, second = both(STOPPED, tmp_path / "recipe.json", tmp_path)
    midst, last = first.splitlines()
    assert midst.startswith("Stopped after iteration 4 of 1000; the same command goes on")
    assert last.startswith("Stopped after iteration 3 of 3, the last")
    assert second == first
    assert [load_state(tmp_path / name)["iteration"] for name in ("1000", "3")] == [4, 3]
