"""How close tiled output comes to untiled output, for every network at its largest scale up to 4.

Takes each network's own weights where they are inside the package, can be fetched, or lie in the
folder that is named (one folder per model, as its authors publish the files), else weights at
random. Prints a markdown
table; docs/measured/tiling.md holds it:
``python benchmarks/tiling.py [WEIGHTS [MODEL...]] > docs/measured/tiling.md``
"""

import math
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr_zoo import Upscaler, create_model, list_models, load_model, model_info
from sr_zoo.errors import SRZooError
from sr_zoo.network import SRNetwork
from sr_zoo.registry import spec_of
from sr_zoo.weights.checkpoint import read_checkpoint

PHOTO = Path(__file__).parents[1] / "examples" / "chelsea.png"
ROWS = slice(60, 84)  # of the photo, mirrored at its right edge to be wide enough
TILE, TILES = 96, 4  # so many beside a halo on both sides, so that no tile sees the whole image
SCALE = 4
RANDOM = "random"  # weights
PASSES = (None, 0, 2)  # the default, none, two


def compare(tiled: Tensor, whole: Tensor) -> tuple[int, float]:
    """Return the largest difference in 8-bit levels and the PSNR in dB."""
    levels = ((tiled * 255).round() - (whole * 255).round()).abs().max()
    error = (tiled - whole).square().mean().item()
    return int(levels), math.inf if error == 0 else -10 * math.log10(error)


def find(model: str, folder: Path | None) -> tuple[SRNetwork, str]:
    """Return a network and where its weights are from."""
    files = sorted((folder / model).glob("*")) if folder else []
    for file in files:
        if file.suffix in (".pth", ".pt", ".ckpt", ".safetensors"):
            try:
                network = load_model(file, scale=scale_of(model))
            except SRZooError:
                continue
            if network.identity and network.identity.name == model:
                ours = "architecture" in read_checkpoint(file).metadata
                return network, "trained here" if ours else "authors'"
    for tag, origin in (("sr_zoo", "in the package"), ("official", "authors'")):
        try:
            return create_model(model, scale_of(model), pretrained=tag), origin
        except SRZooError:
            continue
    return at_random(model), RANDOM


def scale_of(model: str) -> int:
    """Return the scale that a network is tried at."""
    return max(s for s in model_info(model).scales if s <= SCALE)


def at_random(model: str) -> SRNetwork:
    """Return a network with weights as they are before training."""
    torch.manual_seed(0)
    return create_model(model, scale_of(model), pretrained=False)


def strip_of_photo(width: int) -> Tensor:
    """Return a strip of the photo, mirrored at its right edge up to a width, as (1, 3, H, W)."""
    photo = np.asarray(Image.open(PHOTO).convert("RGB"), dtype=np.float32)[ROWS] / 255
    more = max(width - photo.shape[1], 0)
    strip = np.pad(photo, ((0, 0), (0, more), (0, 0)), mode="symmetric")
    return torch.from_numpy(strip).permute(2, 0, 1)[None]


def differences(
    network: SRNetwork, counts: Iterable[int | None]
) -> dict[int | None, tuple[int, float]]:
    """Return how far tiles are from the whole, by how many statistics passes there are."""
    options = {"dtype": "float32", "runtime": "torch"}
    halo = Upscaler(network, tile=TILE, **options).tiling().halo
    image = strip_of_photo(TILES * TILE + 2 * halo)
    whole = Upscaler(network, tile=None, **options).tensor(image)
    found = {}
    for count in counts:
        upscaler = Upscaler(network, tile=TILE, exact_passes=count, **options)
        found[count] = compare(upscaler.tensor(image), whole)
    return found


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print(
        f"Tiles of {TILE} LR pixels against the image in one piece, with as many statistics passes "
        "as are the default and, for comparison, without and with two:\n"
    )
    columns = ("largest difference in 8-bit levels", "PSNR, default", "PSNR, none", "PSNR, two")
    print("|", " | ".join(("network", "scale", "weights", *columns)), "|")
    print("|---" * 7 + "|")
    for model in sys.argv[2:] or list_models():
        network, weights = find(model, folder)
        cells = differences(network, PASSES if spec_of(model).global_statistics else (None,))
        decibels = [f"{cells[n][1]:.1f} dB" if n in cells else "" for n in PASSES]
        print(
            f"| `{model}` | x{network.scale} | {weights} | {cells[None][0]} |",
            " | ".join(decibels),
            "|",
            flush=True,
        )


if __name__ == "__main__":
    main()
