"""What lower precision costs each network at each scale, on real weights and a data set's images.

Compares the luminance PSNR against the originals, and the output against that of float32, in every
runtime that computes in the type, by programs for any size and for one, and keeps the worst. Writes
the table that `Upscaler(dtype="auto")` goes by, keeping what it holds of others. To be run where
the processor multiplies bfloat16 itself; elsewhere OpenVINO computes in float32 instead:
``python benchmarks/precision.py DATA MODEL... [--scale N]``

DATA is the folder of Set14; MODEL and scale are what `sr-zoo eval` takes: ``seemore_t``,
``rlfn.official``, ``rlfn=file.pth``.
"""

import json
import math
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import torch
from torch import Tensor

from sr_zoo.errors import ExportError
from sr_zoo.evaluation.candidates import find_candidates
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.metrics import psnr_y
from sr_zoo.evaluation.speed import Contender, contender
from sr_zoo.fusion import fuse
from sr_zoo.inference.runtimes.precision import MEASURED
from sr_zoo.network import SRNetwork

Way: TypeAlias = tuple[str, str, str]  # type, runtime, sizes that it is for

WAYS = {"bfloat16": ("torch", "openvino"), "float16": ("torch",)}


def tensor_of(pixels: object) -> Tensor:
    """Return 8-bit pixels (H, W, 3) as a batch of one, in [0, 1]."""
    return torch.as_tensor(pixels).permute(2, 0, 1)[None] / 255


def agreement(a: Tensor, b: Tensor) -> float:
    """Return the PSNR of one output against another in dB."""
    error = (a - b).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def losses(network: SRNetwork, folder: Path) -> dict[str, dict[str, float]]:
    """Measure what each type costs a network."""
    network = fuse(network)
    exact = contender(network, dtype="float32")
    sides: list[Contender] = []
    for dtype, runtimes in WAYS.items():
        for runtime in runtimes:
            try:
                sides.append(contender(network, runtime, dtype))
            except ExportError as error:  # what does not run loses nothing
                print(error, file=sys.stderr)
    base: list[float] = []
    scores: defaultdict[Way, list[float]] = defaultdict(list)
    worst: defaultdict[Way, float] = defaultdict(lambda: math.inf)
    for sample in open_folder(folder, network.scale).samples:
        lr, hr = sample.read()
        image = tensor_of(lr)
        reference = exact.run(image).clamp(0, 1)
        base.append(score(reference, hr, network.scale))
        for side in sides:
            for way, output in outputs(side, image):
                scores[way].append(score(output, hr, network.scale))
                worst[way] = min(worst[way], agreement(output, reference))
    changes = {way: abs(fmean(found) - fmean(base)) for way, found in scores.items()}
    for way, change in changes.items():
        print(*way, f"{change:.4f} {worst[way]:.1f}", file=sys.stderr)
    return {
        dtype: {
            "change": round(max(change for way, change in changes.items() if way[0] == dtype), 4),
            "agreement": round(min(least for way, least in worst.items() if way[0] == dtype), 1),
        }
        for dtype in WAYS
    }


def outputs(side: Contender, image: Tensor) -> Iterator[tuple[Way, Tensor]]:
    """Yield what comes out, of programs for any size and for this one where they differ."""
    yield (side.dtype, side.runtime, "any size"), side.run(image).clamp(0, 1)
    if side.runtime == "openvino" and side.settle is not None:
        side.settle(image)
        yield (side.dtype, side.runtime, "for this size"), side.run(image).clamp(0, 1)


def score(output: Tensor, original: object, scale: int) -> float:
    """Return the luminance PSNR of an output as papers measure it."""
    levels = (output[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return psnr_y(levels, original, shave=scale)


def main() -> None:
    """Measure the networks named on the command line."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--scale", type=int, nargs="*", default=[])
    given = parser.parse_args()
    candidates, problems = find_candidates(given.models, given.scale)
    for problem in problems:
        print(problem, file=sys.stderr)
    for candidate in candidates:
        network = candidate.network
        table = json.loads(MEASURED.read_text())
        with torch.inference_mode():
            found = losses(network, given.data)
        table.setdefault(network.identity.name, {})[str(network.scale)] = found
        MEASURED.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
        print(network.identity.name, network.scale, found, flush=True)


if __name__ == "__main__":
    main()
