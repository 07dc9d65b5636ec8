"""SeemoRe-T and RLFN in every runtime beside their authors' code, with the same real weights.

All take turns in one process, in inference mode, on one 320x180 picture enlarged by 4: in float32,
and in the type that ``dtype="auto"`` takes on this machine. Prints the table of docs/benchmarks.md;
float32 outputs that are not equal to the authors' within 1e-4 stop it:
``python benchmarks/runtimes.py CLONES RLFN_X4_PTH > docs/measured/runtimes.md``

CLONES is a folder with clones of eduardzamfir/seemoredetails and bytedance/RLFN under the
repositories' own names; the second argument is RLFN's published weight file.
"""

import importlib
import os
import sys
import types
from pathlib import Path

import torch
from torch import Tensor, nn

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
SEEMORE_T = {
    "scale": SCALE,
    "in_chans": 3,
    "num_experts": 3,
    "num_layers": 6,
    "embedding_dim": 36,
    "img_range": 1.0,
    "use_shuffle": True,
    "global_kernel_size": 11,
    "recursive": 2,
    "lr_space": "exp",
    "topk": 1,
}


class Registry:
    """Stands in for BasicSR's registry, which is not installed."""

    def register(self) -> object:
        """Return a decorator that does nothing."""
        return lambda cls: cls


def seemore(clones: Path) -> nn.Module:
    """Build the authors' SeemoRe-T."""
    repository = clones / "seemoredetails"
    for name in ("basicsr", "basicsr.archs", "basicsr.utils"):
        module = types.ModuleType(name)
        module.__path__ = [str(repository.joinpath(*name.split(".")))]
        sys.modules[name] = module
    registry = types.ModuleType("basicsr.utils.registry")
    registry.ARCH_REGISTRY = Registry()
    sys.modules[registry.__name__] = registry
    return importlib.import_module("basicsr.archs.seemore_arch").SeemoRe(**SEEMORE_T)


def rlfn(clones: Path) -> nn.Module:
    """Build the authors' RLFN."""
    sys.path.insert(0, str(clones / "RLFN"))
    return importlib.import_module("model.rlfn").RLFN(upscale=SCALE)


def theirs(name: str, network: nn.Module, ours: SRNetwork, value_range: float) -> Contender:
    """Give the authors' network our network's weights, and make it a contender."""
    network.load_state_dict(converter_of(type(ours)).save(ours.state_dict()))
    network.eval()

    def run(image: Tensor) -> Tensor:
        return network(image * value_range) / value_range

    return Contender(f"{name} x{SCALE}, the authors' code", name, SCALE, "theirs", "float32", run)


def main() -> None:
    """Print the table."""
    clones, weights = map(Path, sys.argv[1:])
    sides = [
        (
            "seemore_t",
            seemore(clones),
            sr_zoo.create_model("seemore_t", SCALE, pretrained="sr_zoo"),
            1.0,
        ),
        ("rlfn", rlfn(clones), sr_zoo.create_model("rlfn", SCALE, checkpoint=weights), 255.0),
    ]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(f"{machine_line()}. Load while measuring: {os.getloadavg()[0]:.1f}.\n")
    for name, authors, ours, value_range in sides:
        contenders = [theirs(name, authors, ours, value_range)]
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
