"""The authors' own networks, built from clones of their repositories.

CLONES is a folder with clones under the repositories' own names, each at the commit that the
network's golden names (``tests/goldens/NAME_xS.json``, "upstream").
"""

import importlib
import importlib.util
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from quadrants import in_quadrants
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from golden import FOLDER, MODEL_OF, Golden  # noqa: E402  lies beside the tests

# what authors' constructors call the scale
SCALE_NAMES = ("scale", "upscale", "scale_factor", "scaling_factor", "upscaling_factor")
# layer classes that a golden's configuration names
LAYERS: dict[str, Any] = {"GELU": nn.GELU, "LeakyReLU": nn.LeakyReLU}
# constructor arguments that only name what is the default
NOT_GIVEN = {"norm_layer"}

Network = Callable[[Tensor], Tensor]
Around = Callable[[nn.Module, Tensor, int], Tensor]  # takes network, image and scale


def padded(multiple: int, mode: str) -> Around:
    """Pad below and to the right, and crop the output."""

    def run(network: nn.Module, x: Tensor, scale: int) -> Tensor:
        height, width = x.shape[-2:]
        below, right = -height % multiple, -width % multiple
        larger = np.pad(x.numpy(), ((0, 0), (0, 0), (0, below), (0, right)), mode=mode)
        return network(torch.from_numpy(larger))[..., : scale * height, : scale * width]

    return run


def chopped(network: nn.Module, x: Tensor, _: int) -> Tensor:
    """Run IPT on overlapping patches by its authors' own method."""
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
    return wrapper.forward_chop(x)


@dataclass(frozen=True)
class Repository:
    """Where a repository's networks are, and what their own test code does around them."""

    root: str = ""  # the folder that its modules are imported from
    arguments: Callable[[int], dict[str, Any]] = lambda _: {}  # beside the golden's
    around: Around = lambda network, x, _: network(x)
    quadrants: bool = False  # whether it never shows them a whole image; ours sees the same parts
    prepare: Callable[[nn.Module], object] = lambda _: None  # once it has its weights
    passes_on: bool = True  # whether what takes any keyword wants all of the golden's


REPOSITORIES = {
    "AVC2-UESTC/CRAFT-SR": Repository(around=padded(16, "reflect")),
    "ChaofWang/AWSRN": Repository("code/src", lambda scale: {"scale": [scale]}),
    "Francis0625/Omni-SR": Repository(around=lambda network, x, _: (network(2 * x - 1) + 1) / 2),
    "ECNUSR/ETDS": Repository(
        around=lambda network, x, _: y[0] if isinstance(y := network(x), tuple) else y
    ),
    "IVIPLab/FIWHN": Repository(arguments=lambda _: {"args": None}, quadrants=True),
    "LongguangWang/SMSR": Repository(
        arguments=lambda scale: {"scale": [scale]},
        prepare=lambda network: [
            unit._prepare() for unit in network.modules() if hasattr(unit, "_prepare")
        ],
    ),
    "chenbong/ARM-Net": Repository(
        arguments=lambda _: {"in_nc": 3, "out_nc": 3, "input_channels": 3},
        prepare=lambda network: network.apply(lambda unit: setattr(unit, "width_mult", 1.0)),
    ),
    "hellloxiaotian/ADSRNet": Repository("HDSRNet", lambda scale: {"scale": [scale]}),
    "huawei-noah/Pretrained-IPT": Repository(around=chopped),
    "luissen/ESRT": Repository(quadrants=True),
    "nmhkahn/CARN-pytorch": Repository("carn", around=lambda network, x, scale: network(x, scale)),
    "quic/aimet-model-zoo": Repository("aimet_zoo_torch/quicksrnet", passes_on=False),
    "rami0205/RAMiT": Repository(around=padded(32, "symmetric")),
    "zhaohengyuan1/PAN": Repository("codes"),
}

# what runs nowhere but on CUDA, or not in PyTorch
NOT_RUN = {
    "3587jjh/PCSR": "makes its coordinates on a CUDA device",
    "NeonLeexiang/DLGSANet": "has CUDA kernels",
    "saturnian77/DRSAN": "is for TensorFlow 1",
    "zononhzy/LAMNet": "has CUDA kernels",
}
READINGS = {"asconvsr"}  # follow the paper where the code that the golden is of does not
_CLASSICAL = {"embed_dim": 180, "num_heads": [6] * 6, "resi_connection": "1conv"}
_DAT = {**_CLASSICAL, "depth": [6] * 6, "upsampler": "pixelshuffle"}
# forms without a golden of their own: whose golden tells the rest, and what differs from it
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "dat": ("dat_light", {**_DAT, "expansion_factor": 4}),
    "dat_2": ("dat_light", {**_DAT, "expansion_factor": 2}),
    "ipt": (
        "ipt_small",
        {
            "n_feats": 64,
            "patch_size": 48,
            "num_layers": 12,
            "num_queries": 1,
            "scale": [4],
            "scale_idx": 0,
        },
    ),
    "srformer": (
        "srformer_light",
        {**_CLASSICAL, "depths": [6] * 6, "window_size": 22, "upsampler": "pixelshuffle"},
    ),
    "swinir_real": ("swinir", {"upsampler": "nearest+conv"}),
    "swinir_real_large": (
        "swinir",
        {
            "depths": [6] * 9,
            "embed_dim": 240,
            "num_heads": [8] * 9,
            "upsampler": "nearest+conv",
            "resi_connection": "3conv",
        },
    ),
}


@dataclass(frozen=True)
class Authors:
    """The authors' form of a model at a scale: what it is, its weights, and how it is run."""

    clones: Path
    golden: Golden
    differences: dict[str, Any] = field(default_factory=dict)  # from the golden's configuration

    @property
    def scale(self) -> int:
        """The upscaling factor."""
        return self.golden.scale

    @property
    def repository(self) -> Repository:
        """How the repository is used."""
        return REPOSITORIES.get(self.golden.facts["upstream"]["repo"], Repository())

    def build(self) -> tuple[nn.Module, dict[str, Tensor]]:
        """Return the network in evaluation mode and the weights it has, in its authors' words.

        They are the golden's where it has outputs, else those that the authors' code starts from.
        """
        torch.manual_seed(0)
        with without_gpu():
            network = self._construct().eval()
        state = nn.Module.state_dict(network)
        if not self.differences and not self.golden.facts.get("no_outputs"):
            state = self.golden.state_dict()
            # the module's own method, which some override; constants are in no golden
            nn.Module.load_state_dict(network, state, strict=False)
        self.repository.prepare(network)
        return network, state

    @property
    def channels(self) -> int:
        """How many channels its pictures have."""
        return self.golden.facts["config"].get("colors", 3)

    def run(self, network: nn.Module) -> Network:
        """Return what enlarges a picture as the authors' test code does; values are 0 to 1."""
        peak = self.golden.facts["value_range"]
        enlarge = self.shown(lambda x: self.repository.around(network, x, self.scale))

        def run(x: Tensor) -> Tensor:
            with without_gpu():
                return enlarge(x * peak) / peak

        return run

    def shown(self, network: Network) -> Network:
        """Show a network what the authors' test code shows theirs: the whole picture, or parts."""
        if self.repository.quadrants:
            return partial(in_quadrants, network, scale=self.scale)
        return network

    def _construct(self) -> nn.Module:
        upstream = self.golden.facts["upstream"]
        clone = self.clones / upstream["repo"].partition("/")[2]
        folder, file = clone / self.repository.root, clone / upstream["file"].split(".py")[0]
        sys.path.insert(0, str(folder))
        module = ".".join(file.relative_to(folder).parts)
        _stand_in_for_imports(folder, module)
        cls = getattr(importlib.import_module(module), re.match(r"\w+", upstream["cls"])[0])
        config = {**self.golden.facts["config"], **self.differences}
        config |= {name: self.scale for name in SCALE_NAMES if name not in config}
        config |= self.repository.arguments(self.scale)
        taken = inspect.signature(cls.__init__).parameters
        if "args" in taken and "args" not in config:
            network = cls(types.SimpleNamespace(**config))
            if "scale_idx" in config:  # of several tasks
                network.set_scale(config["scale_idx"])
            return network
        anything = self.repository.passes_on and any(
            parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()
        )
        return cls(
            **{
                name: LAYERS.get(str(value), value)
                for name, value in config.items()
                if name not in NOT_GIVEN and (anything or name in taken)
            }
        )


def authors_of(model: str, clones: Path, scale: int | None = None) -> Authors:
    """Return the authors' form of a model, by default at its largest scale up to 4."""
    like, differences = FORMS.get(model, (model, {}))
    goldens = (Golden(f"{like}_x{each}") for each in ([scale] if scale else (4, 3, 2)))
    golden = next(each for each in goldens if (FOLDER / f"{each.name}.json").exists())
    return Authors(clones, golden, differences)


def models() -> list[str]:
    """Return the models whose authors' code runs in PyTorch on a processor."""
    names = {path.stem.rpartition("_x")[0] for path in FOLDER.glob("*.json")}
    return sorted(
        name
        for name in {*names, *FORMS}.difference(MODEL_OF, READINGS)
        if authors_of(name, Path()).golden.facts.get("upstream", {}).get("repo", "")
        not in {"", *NOT_RUN}
    )


@contextmanager
def without_gpu() -> Iterator[None]:
    """Let code that moves its tensors to a GPU run where there is none."""
    with (
        patch.object(Tensor, "cuda", lambda tensor, *_: tensor),
        patch.object(nn.Module, "cuda", lambda module, *_: module),
    ):
        yield


def _stand_in_for_imports(folder: Path, module: str) -> None:
    """Give packages that are not installed, or that import such, something in their place."""
    from timm.layers import to_2tuple, trunc_normal_

    _stand_in("basicsr", folder / "basicsr")
    _stand_in("basicsr.archs", folder / "basicsr" / "archs")
    _stand_in(
        "basicsr.archs.arch_util",
        to_2tuple=to_2tuple,
        trunc_normal_=trunc_normal_,
        default_init_weights=lambda *_, **__: None,  # weights are loaded
        make_layer=lambda block, number, **kw: nn.Sequential(*(block(**kw) for _ in range(number))),
    )
    _stand_in("basicsr.utils", folder / "basicsr" / "utils")
    _stand_in("basicsr.utils.registry", ARCH_REGISTRY=Registry())
    _stand_in("thop", profile=None)
    _stand_in("matplotlib", folder)
    _stand_in("matplotlib.pyplot")
    package, *within = module.split(".")[:-1] or [""]
    for name in (".".join([package, *within[:count]]) for count in range(len(within) + 1)):
        path = folder.joinpath(*name.split("."))
        if name and package != "basicsr" and path.is_dir():
            _stand_in(name, path)


class Registry:
    """Takes classes and does nothing with them."""

    def register(self) -> Callable[[type], type]:
        """Return a decorator."""
        return lambda cls: cls


def _stand_in(name: str, path: Path | None = None, **contents: Any) -> None:
    module = types.ModuleType(name)
    if path is not None:
        module.__path__ = [str(path)]
    for key, value in contents.items():
        setattr(module, key, value)
    sys.modules[name] = module
