"""How close tiled output comes to untiled output, with the weights inside the package.

Prints a markdown table; docs/measured/tiling.md holds it:
``python benchmarks/tiling.py > docs/measured/tiling.md``
"""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr_zoo import Upscaler, load_model, model_info
from sr_zoo.weights.manifest import Bundled, load_manifest

PHOTO = Path(__file__).parents[1] / "examples" / "chelsea.png"
TILE = 64


def compare(tiled: Tensor, whole: Tensor) -> tuple[int, float]:
    """Return the largest difference in 8-bit levels and the PSNR in dB."""
    levels = ((tiled * 255).round() - (whole * 255).round()).abs().max()
    error = (tiled - whole).square().mean().item()
    return int(levels), math.inf if error == 0 else -10 * math.log10(error)


def main() -> None:
    """Print the table."""
    photo = np.asarray(Image.open(PHOTO).convert("RGB"), dtype=np.float32) / 255
    image = torch.from_numpy(photo).permute(2, 0, 1)[None]
    print(f"Tiles of {TILE} LR pixels against the image in one piece:\n")
    print("| weights | statistics passes | largest difference (8-bit levels) | PSNR |")
    print("|---|---|---|---|")
    for entry in load_manifest().entries:
        if not isinstance(entry.source, Bundled):
            continue
        network = load_model(entry.id)
        whole = Upscaler(network, tile=None).tensor(image)
        passes = (0,) if model_info(entry.model).tile_exact else (0, 1, 2)
        for count in passes:
            upscaler = Upscaler(network, tile=TILE, exact_passes=count)
            levels, psnr = compare(upscaler.tensor(image), whole)
            print(f"| `{entry.id}` | {count} | {levels} | {psnr:.1f} dB |")


if __name__ == "__main__":
    main()
