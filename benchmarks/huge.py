"""How much memory a 100-megapixel image takes from end to end, and how long; Linux.

``python benchmarks/huge.py [MEGAPIXELS [MODEL [SCALE]]]``, by default 100, 2, and `nearest`, the
least that any network takes. Weights are random where none are in the package. Prints what
docs/measured/huge.md holds:
``python benchmarks/huge.py 100 quicksrnet_small 2 > docs/measured/huge.md``
"""

import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyvips

from sr_zoo import Upscaler, create_model
from sr_zoo.errors import SRZooError
from sr_zoo.inference import huge
from sr_zoo.inference.files import upscale_files

STATUS = Path("/proc/self/status")
KINDS = {"a.tif": "b.png", "a.png": "b.tif"}


def write_photo(path: Path, side: int) -> None:
    """Write a square of noise, as TIFF or PNG."""
    tile = np.random.default_rng(0).integers(0, 256, (500, 500, 3)).astype(np.uint8)
    photo = pyvips.Image.new_from_array(tile).replicate(side // 500 + 1, side // 500 + 1)
    photo.crop(0, 0, side, side).copy(interpretation="srgb").write_to_file(str(path))


def measure(source: Path, target: Path, model: str, scale: int) -> None:
    """Upscale one file and print what it took; in a process of its own."""
    try:
        network = create_model(model, scale)
    except SRZooError:
        network = create_model(model, scale, pretrained=False)
    huge.STREAMED_PIXELS = 0
    started = time.monotonic()
    (outcome,) = upscale_files(Upscaler(network), [source], target)
    seconds = time.monotonic() - started
    lines = STATUS.read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    print(
        f"- {model} x{scale}, {source.suffix} to {target.suffix}: {outcome.status} in "
        f"{seconds:.0f} s, peak memory of the process {peak / 1e9:.2f} GB"
    )


def main() -> None:
    """Measure TIFF to PNG and PNG to TIFF."""
    megapixels = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    model = sys.argv[2] if len(sys.argv) > 2 else "nearest"
    scale = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    for source, target in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / source
            processes = get_context("spawn")
            for work in (
                processes.Process(
                    target=write_photo, args=(path, round((megapixels * 1e6) ** 0.5))
                ),
                processes.Process(target=measure, args=(path, Path(folder) / target, model, scale)),
            ):
                work.start()
                work.join()


if __name__ == "__main__":
    main()
