"""Time and memory of the attention networks beside their authors' code.

Each network and its authors' run in turn, in a process of their own with one thread, on the same
320 x 180 picture at scale 4 with the same weights (those of the network's golden). Ours runs as
`upscale` runs it in PyTorch, and again by OpenVINO where it can be exported; theirs as their own
test code does. Prints a markdown table; docs/measured/against_authors.md holds it:
``python benchmarks/against_authors.py CLONES JOURNAL > docs/measured/against_authors.md``

CLONES is a folder with clones of the authors' repositories, each at the commit that the golden
names, under the repository's own name. JOURNAL is a JSON file that keeps what was measured; further
arguments name the networks to measure again.
"""

import importlib.util
import inspect
import json
import os
import resource
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import torch
from quadrants import in_quadrants
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

SCALE = 4
HEIGHT, WIDTH = 180, 320
# a freed tensor goes back to the system at once, so that the peak is that of what is in use
RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 20)}
SIDES = ("theirs", "ours", "openvino")
RUNS = 1  # after one that gives the memory and whose time does not count


@dataclass(frozen=True)
class Theirs:
    """Where the authors' network is, and what their own test code does around it."""

    module: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)  # beside the golden's
    around: Callable[[nn.Module, Tensor], Tensor] = lambda network, x: network(x)
    grouped: bool = False  # whether the constructor takes one object with all arguments
    quadrants: bool = False  # whether it never sees a whole image; ours then sees the same parts


def padded(multiple: int, mode: str) -> Callable[[nn.Module, Tensor], Tensor]:
    """Pad below and to the right, and crop the output."""

    def run(network: nn.Module, x: Tensor) -> Tensor:
        below, right = (-side % multiple for side in (HEIGHT, WIDTH))
        import numpy as np

        larger = np.pad(x.numpy(), ((0, 0), (0, 0), (0, below), (0, right)), mode=mode)
        return network(torch.from_numpy(larger))[..., : SCALE * HEIGHT, : SCALE * WIDTH]

    return run


def chopped(network: nn.Module, x: Tensor) -> Tensor:
    """Run IPT on overlapping patches by its authors' own method, which expects a GPU."""
    package = Path(inspect.getfile(type(network))).parent
    spec = importlib.util.spec_from_file_location("chopping", package / "__init__.py")
    chopping = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chopping)
    chopping.P = types.SimpleNamespace(data_parallel=lambda model, patches, _: model(patches))
    wrapper = chopping.Model.__new__(chopping.Model)
    nn.Module.__init__(wrapper)
    arguments = network.args
    wrapper.args, wrapper.scale, wrapper.idx_scale = arguments, arguments.scale, network.scale_idx
    wrapper.patch_size, wrapper.model, wrapper.n_GPUs = arguments.patch_size, network, 0
    cuda, Tensor.cuda = Tensor.cuda, lambda tensor: tensor
    try:
        return wrapper.forward_chop(x)
    finally:
        Tensor.cuda = cuda


NETWORKS = {
    "cfsr": Theirs("basicsr.archs.cfsr_arch", "CFSR"),
    "craft": Theirs("basicsr.archs.craft_arch", "CRAFT", around=padded(16, "reflect")),
    "dat_light": Theirs("basicsr.archs.dat_arch", "DAT"),
    "ditn_real": Theirs("models.DITN_Real", "DITN_Real"),
    "elan": Theirs("models.elan_network", "ELAN", grouped=True),
    "elan_light": Theirs("models.elan_network", "ELAN", grouped=True),
    "esrt": Theirs("model.esrt", "ESRT", quadrants=True),
    "fiwhn": Theirs("model.FIWHNx4", "MODEL", arguments={"args": None}, quadrants=True),
    "ipt_small": Theirs("model.ipt", "ipt", around=chopped, grouped=True),
    "omnisr": Theirs(
        "components.OmniSR", "OmniSR", around=lambda network, x: (network(2 * x - 1) + 1) / 2
    ),
    "ramit": Theirs("my_model.ramit", "RAMiT", around=padded(32, "symmetric")),
    "ramit_1": Theirs("my_model.ramit", "RAMiT", around=padded(32, "symmetric")),
    "ramit_slim": Theirs("my_model.ramit_slimsr", "RAMiT", around=padded(32, "symmetric")),
    "srformer_light": Theirs("basicsr.archs.srformer_arch", "SRFormer"),
    "swin2sr_light": Theirs("models.network_swin2sr", "Swin2SR"),
    "swinir": Theirs("models.network_swinir", "SwinIR"),
    "swinir_light": Theirs("models.network_swinir", "SwinIR"),
}


def stand_in(name: str, path: Path | None = None, **contents: Any) -> None:
    """Put a module into Python's table, in place of one whose imports are not installed."""
    module = types.ModuleType(name)
    if path is not None:
        module.__path__ = [str(path)]
    for key, value in contents.items():
        setattr(module, key, value)
    sys.modules[name] = module


class Registry:
    """Takes classes and does nothing with them."""

    def register(self) -> Callable[[type], type]:
        """Return a decorator."""
        return lambda cls: cls


def build_theirs(name: str, clones: Path, facts: dict[str, Any]) -> nn.Module:
    """Build the authors' network from their code."""
    from timm.layers import to_2tuple, trunc_normal_

    repository = clones / facts["upstream"]["repo"].partition("/")[2]
    sys.path.insert(0, str(repository))
    stand_in("basicsr", repository / "basicsr")
    stand_in("basicsr.archs", repository / "basicsr" / "archs")
    stand_in("basicsr.archs.arch_util", to_2tuple=to_2tuple, trunc_normal_=trunc_normal_)
    stand_in("basicsr.utils", repository / "basicsr" / "utils")
    stand_in("basicsr.utils.registry", ARCH_REGISTRY=Registry())
    stand_in("thop", profile=None)
    theirs = NETWORKS[name]
    for package in theirs.module.split(".")[:-1]:
        if package != "basicsr" and (repository / package).is_dir():
            stand_in(package, repository / package)  # some import what is not installed
    cls = getattr(importlib.import_module(theirs.module), theirs.name)
    config = dict(facts["config"])
    if theirs.grouped:
        network = cls(types.SimpleNamespace(**{"scale": SCALE, **config}))
        if "scale_idx" in config:  # of several tasks
            network.set_scale(config["scale_idx"])
        return network
    if "scale" in config:
        config["upscale"] = config.pop("scale")
    taken = inspect.signature(cls.__init__).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
    given = {
        key: LAYERS.get(str(value), value)
        for key, value in config.items()
        if key != "norm_layer" and (anything or key in taken)
    }
    return cls(**given, **theirs.arguments)


# layer classes that a golden's configuration names
LAYERS: dict[str, Any] = {"GELU": nn.GELU, "LeakyReLU": nn.LeakyReLU}


def build(side: str, name: str, clones: Path) -> Callable[[Tensor], Tensor]:
    """Return the network of one side, with the golden's weights, ready to run."""
    from golden import Golden

    import sr_zoo
    from sr_zoo.inference.runtimes.eager import TorchRunner
    from sr_zoo.inference.runtimes.prepared import PreparedRunner
    from sr_zoo.registry import spec_of
    from sr_zoo.weights.convert import converter_of

    golden = Golden(f"{name}_x{SCALE}")
    state = golden.state_dict()
    if side != "theirs":
        network: nn.Module = sr_zoo.create_model(name, SCALE, pretrained=False)
        network.load_state_dict(converter_of(spec_of(name).network).load(state))
        runner = TorchRunner(network) if side == "ours" else PreparedRunner(side, network)
        return partial(in_quadrants, runner, scale=SCALE) if NETWORKS[name].quadrants else runner
    network = build_theirs(name, clones, golden.facts).eval()
    # torch's own, which some of the networks override
    nn.Module.load_state_dict(network, state, strict=False)
    peak, around = golden.facts["value_range"], NETWORKS[name].around
    if NETWORKS[name].quadrants:
        around = partial(in_quadrants, scale=SCALE)
    return lambda x: around(network, x * peak) / peak


def serve(side: str, name: str, clones: Path, output: Path) -> None:
    """Build a network, then run it once for each line of standard input; print the seconds."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with redirect_stdout(sys.stderr):  # some of the authors' networks say how they are built
        network = build(side, name, clones)
    image = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    with torch.inference_mode():
        for _ in sys.stdin:
            start = process_time()  # one thread: what others run meanwhile does not count
            result = network(image)
            seconds = process_time() - start
            torch.save(result.clone(), output)
            print(json.dumps([seconds, peak_resident() - before]), flush=True)


def resident() -> int:
    """Return the bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_resident() -> int:
    """Return the most that it held since its peak was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measure(name: str, clones: Path) -> dict[str, Any]:
    """Run all sides in turn; return seconds, bytes and how far outputs are from the authors'."""
    from sr_zoo.evaluation.speed import machine_line

    with TemporaryDirectory() as folder:
        outputs = {side: Path(folder) / side for side in SIDES}
        workers = {
            side: subprocess.Popen(
                [sys.executable, __file__, "--serve", side, name, str(clones), str(output)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", **RETURN_MEMORY},
            )
            for side, output in outputs.items()
        }
        seen: dict[str, list[list[float]]] = {side: [] for side in workers}
        for _ in range(1 + RUNS):
            for side in tuple(workers):
                if answer := ask(workers[side]):
                    seen[side].append(answer)
                else:  # it ended: what OpenVINO does not take is no side
                    del workers[side], seen[side]
        for worker in workers.values():
            worker.stdin.close()
            worker.wait()
        found = {side: torch.load(outputs[side]) for side in seen}
    theirs = found["theirs"]
    row: dict[str, Any] = {"machine": machine_line(), "largest": theirs.abs().max().item()}
    for side, runs in seen.items():
        row[f"{side}_difference"] = (found[side] - theirs).abs().max().item()
        row[f"{side}_seconds"] = median(seconds for seconds, _ in runs[1:])
        row[f"{side}_bytes"] = runs[0][1]
    return row


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
    """Return the page's text: a table for each machine that something was measured on."""
    lines = [f"{WIDTH} x {HEIGHT} to x{SCALE}, float32; processor time of one thread.", ""]
    for machine in sorted({row["machine"] for row in rows.values()}, reverse=True):
        lines += [
            f"{machine}:",
            "",
            "| network | time, theirs | ours | faster | by OpenVINO | faster | "
            "peak memory, theirs | ours | less |",
            "|---" * 9 + "|",
            *(_line(name, row) for name, row in rows.items() if row["machine"] == machine),
            "",
        ]
    return "\n".join(lines[:-1])


def _line(name: str, row: dict[str, Any]) -> str:
    seconds = [row[f"{side}_seconds"] for side in ("theirs", "ours")]
    compiled = row.get("openvino_seconds")
    openvino = f"{compiled:.2f} s | x{seconds[0] / compiled:.2f}" if compiled else "- | -"
    memory = [row[f"{side}_bytes"] / 2**20 for side in ("theirs", "ours")]
    return (
        f"| `{name}` | {seconds[0]:.2f} s | {seconds[1]:.2f} s | x{seconds[0] / seconds[1]:.2f}"
        f" | {openvino} | {memory[0]:.0f} MiB | {memory[1]:.0f} MiB"
        f" | x{memory[0] / memory[1]:.2f} |"
    )


def main() -> None:
    """Measure what is missing, or what is named, and print the table."""
    if sys.argv[1] == "--serve":
        serve(sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
        return
    torch.set_num_threads(1)  # as in the workers, for the machine's line
    clones, journal, named = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    rows = json.loads(journal.read_text()) if journal.exists() else {}
    for name in named or [name for name in NETWORKS if name not in rows]:
        rows[name] = measure(name, clones)
        print(name, rows[name], file=sys.stderr, flush=True)
        journal.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
