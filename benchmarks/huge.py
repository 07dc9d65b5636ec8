"""How much memory a 100-megapixel image takes from end to end, and how long.

``python benchmarks/huge.py [MEGAPIXELS [MODEL]]``, by default 100 and `espcn` at x2 with weights at
random: the network does not matter to the memory, the strips do.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyvips

from sr_zoo import Upscaler, create_model
from sr_zoo.inference import huge
from sr_zoo.inference.files import upscale_files


def main() -> None:
    """Measure TIFF to PNG and PNG to TIFF."""
    megapixels = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    model = sys.argv[2] if len(sys.argv) > 2 else "espcn"
    huge.STREAMED_PIXELS = min(huge.STREAMED_PIXELS, megapixels * 1_000_000)
    upscaler = Upscaler(create_model(model, 2, pretrained=False))
    side = round((megapixels * 1e6) ** 0.5)
    tile = np.random.default_rng(0).integers(0, 256, (500, 500, 3)).astype(np.uint8)
    photo = pyvips.Image.new_from_array(tile).replicate(side // 500 + 1, side // 500 + 1)
    photo = photo.crop(0, 0, side, side).copy(interpretation="srgb")
    with tempfile.TemporaryDirectory() as folder:
        for source, target in (("a.tif", "b.png"), ("a.png", "b.tif")):
            photo.write_to_file(str(Path(folder) / source))
            started = time.monotonic()
            (outcome,) = upscale_files(upscaler, [Path(folder) / source], Path(folder) / target)
            seconds = time.monotonic() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{source} ({side}x{side}) to {target}: {outcome.status} in {seconds:.0f} s, "
                f"peak memory of the process so far {peak:.2f} GiB"
            )


if __name__ == "__main__":
    main()
