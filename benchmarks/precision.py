"""What lower precision costs each network, on real weights and a data set's images.

Compares the luminance PSNR against the originals, and the output against that of float32. Writes
the table that `Upscaler(dtype="auto")` goes by, keeping what it holds of other models:
``python benchmarks/precision.py DATA MODEL...``

DATA is the folder of Set14; a MODEL is what `sr-zoo eval` takes: ``seemore_t``, ``rlfn.official``,
``rlfn=file.pth``.
"""

import json
import math
import sys
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from sr_zoo import Upscaler
from sr_zoo.evaluation.candidates import find_candidates
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.metrics import psnr_y
from sr_zoo.inference.runtimes.precision import MEASURED
from sr_zoo.network import SRNetwork

TYPES = (torch.bfloat16, torch.float16)


def tensor_of(pixels: object) -> Tensor:
    """Return 8-bit pixels (H, W, 3) as a batch of one, in [0, 1]."""
    return torch.as_tensor(pixels).permute(2, 0, 1)[None] / 255


def agreement(a: Tensor, b: Tensor) -> float:
    """Return the PSNR of one output against another in dB."""
    error = (a - b).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def losses(network: SRNetwork, folder: Path) -> dict[str, dict[str, float]]:
    """Measure what each type costs a network."""
    exact = Upscaler(network, dtype="float32", runtime="torch", tile=None)
    lower = {
        str(dtype).removeprefix("torch."): Upscaler(
            network, dtype=dtype, runtime="torch", tile=None
        )
        for dtype in TYPES
    }
    scores: dict[str, list[float]] = {name: [] for name in ("float32", *lower)}
    worst = dict.fromkeys(lower, math.inf)
    for sample in open_folder(folder, network.scale).samples:
        lr, hr = sample.read()
        reference = exact.tensor(tensor_of(lr))
        scores["float32"].append(score(reference, hr, network.scale))
        for name, upscaler in lower.items():
            output = upscaler.tensor(tensor_of(lr))
            scores[name].append(score(output, hr, network.scale))
            worst[name] = min(worst[name], agreement(output, reference))
    base = fmean(scores["float32"])
    return {
        name: {
            "change": round(abs(fmean(scores[name]) - base), 4),
            "agreement": round(worst[name], 1),
        }
        for name in lower
    }


def score(output: Tensor, original: object, scale: int) -> float:
    """Return the luminance PSNR of an output as papers measure it."""
    levels = (output[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return psnr_y(levels, original, shave=scale)


def main() -> None:
    """Measure the networks named on the command line."""
    folder, *names = sys.argv[1:]
    candidates, problems = find_candidates(names, [])
    for problem in problems:
        print(problem, file=sys.stderr)
    for candidate in candidates:
        identity = candidate.network.identity
        table = json.loads(MEASURED.read_text())
        table[identity.name] = losses(candidate.network, Path(folder))
        MEASURED.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n")
        print(identity.name, table[identity.name], flush=True)


if __name__ == "__main__":
    main()
