"""What the authors' networks compute: recipe weights and inputs, and the outputs to reach.

A golden holds no weights. It names tensors as the authors' checkpoints do and says from which seed
each is drawn, so a test that loads them passes through the shipped converter.
"""

import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sr_zoo.registry import spec_of
from sr_zoo.weights.convert import converter_of

FOLDER = Path(__file__).parent / "goldens"
TOLERANCE = 1e-4
EVERY = 5  # outputs are kept at every fifth row and column

# goldens that show one model in a special situation
MODEL_OF = {
    "seemore_t_routing": "seemore_t",
    "arm_carn_w36": "arm_carn",
    "arm_carn_w52": "arm_carn",
    "arm_fsrcnn_w16": "arm_fsrcnn",
    "arm_fsrcnn_w36": "arm_fsrcnn",
    **{
        f"pcsr_{base}_{mode}": f"pcsr_{base}"
        for base in ("carn", "fsrcnn")
        for mode in ("adaptive", "heavy", "k", "light", "norefine")
    },
}


@dataclass(frozen=True)
class Golden:
    name: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        return json.loads((FOLDER / f"{self.name}.json").read_text())

    @property
    def model(self) -> str:
        return MODEL_OF.get(self.facts["model"], self.facts["model"])

    @property
    def arguments(self) -> dict[str, Any]:
        """Constructor arguments that bring the model into that situation."""
        config = self.facts["config"]
        if "width_list" in config:
            return {"width": config["width"]}
        mode = config.get("mode", {})
        return {"k": None} if "adaptive" in mode else mode

    @property
    def scale(self) -> int:
        return self.facts["scale"]

    def state_dict(self) -> dict[str, torch.Tensor]:
        if self.facts.get("no_outputs"):  # names and shapes only, index tables and masks among them
            return {
                name: torch.rand(entry["shape"])
                for name, entry in self.facts["all_tensor_shapes"].items()
                if entry.get("dtype", "float32") == "float32" and not name.endswith("mask")
            }
        return {name: self._weight(name, entry) for name, entry in self.facts["tensors"].items()}

    def _weight(self, name: str, entry: dict[str, Any]) -> torch.Tensor:
        seed = (zlib.crc32(name.encode()) + 1000003 * self.facts["weight_seed"]) % 2**32
        drawn = np.random.RandomState(seed).standard_normal(entry["shape"])
        weight = (drawn * entry["std"] + entry["mean"]).astype(np.float32)
        return torch.from_numpy(np.abs(weight) if entry.get("abs") else weight)

    def input(self, case: dict[str, Any]) -> torch.Tensor:
        x = np.random.RandomState(case["input_seed"]).random_sample(case["input_shape"])
        x = x.astype(np.float32)
        affine = case.get("input_affine", self.facts.get("input_affine"))
        if affine:
            gain, offset = (
                np.float32(affine[part])[..., None, None] for part in ("gain", "offset")
            )
            x = x * gain + offset
        return torch.from_numpy(x)

    def output(self, case: dict[str, Any]) -> torch.Tensor:
        with np.load(FOLDER / f"{self.name}.npz") as arrays:
            return torch.from_numpy(arrays[f"y_{case['case']}"])


# what a whole pipeline computes has tests of its own
PIPELINES = ("arm_carn_routing", "arm_fsrcnn_routing")
GOLDENS = [
    Golden(path.stem)
    for path in sorted(FOLDER.glob("*.json"))
    if not path.stem.startswith(PIPELINES)
]


def dead_branches(golden: Golden) -> dict[str, torch.Tensor]:
    """Learned tensors of the authors' network that change nothing; ours does without them."""
    state = golden.state_dict()
    converter = converter_of(spec_of(golden.model).network)
    return {name: state[name] for name in converter.ignored(state)}
