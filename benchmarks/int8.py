"""What int8 costs plain convolutional networks in dB, and what it saves in time.

Each is exported twice, in float32 and in int8 calibrated on a data set; both files take turns in
ONNX Runtime on one 320x180 picture. Prints the table of docs/export.md:
``python benchmarks/int8.py DATA WEIGHTS... > docs/measured/int8.md``

DATA is a folder of images such as Set14; WEIGHTS are what `sr-zoo eval` takes, such as
``etds_m4c32_deploy.official``.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sr_zoo.evaluation.candidates import find_candidates
from sr_zoo.evaluation.speed import Contender, machine_line, race
from sr_zoo.export import export_model
from sr_zoo.export.exporting import open_exported
from sr_zoo.export.int8 import export_int8
from sr_zoo.network import SRNetwork

SIZE = (320, 180)
ROUNDS = 9


def row(label: str, network: SRNetwork, data: Path, folder: Path) -> str:
    """Measure one network."""
    exact = export_model(network, folder / "exact.onnx", to="onnx").path
    quantised = export_int8(network, folder / "int8.onnx", data)
    contenders = [
        Contender(kind, label, network.scale, "onnxruntime", kind, open_exported(path).run)
        for kind, path in (("float32", exact), ("int8", quantised.path))
    ]
    floats, ints = (t.cpu_seconds for t in race(contenders, [SIZE], rounds=ROUNDS))
    return (
        f"| `{label}` | {quantised.float_psnr:.2f} | {quantised.int8_psnr:.2f} "
        f"| {quantised.loss:.2f} | {floats * 1e3:.0f} ms | {ints * 1e3:.0f} ms "
        f"| {floats / ints:.2f} |"
    )


def main() -> None:
    """Print the table."""
    data, weights = Path(sys.argv[1]), sys.argv[2:]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(f"{machine_line()}; {data.name}, the middle of each image:\n")
    print("| weights | float32, dB | int8, dB | loss, dB | float32, CPU time | int8 | faster |")
    print("|---|---|---|---|---|---|---|")
    for candidate in find_candidates(weights)[0]:
        with TemporaryDirectory() as folder:
            print(row(candidate.label, candidate.network, data, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
