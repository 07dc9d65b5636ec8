"""How close tiled output comes to untiled output, for every network at its largest scale up to 4.

Takes each network's own weights where they are inside the package, can be fetched, or lie in the
folder that is named (one folder per model, as its authors publish the files), else weights at
random. Prints a markdown
table; docs/measured/tiling.md holds it:
``python benchmarks/tiling.py [WEIGHTS [MODEL...]] > docs/measured/tiling.md``
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr_zoo import Upscaler, create_model, list_models, load_model, model_info
from sr_zoo.errors import SRZooError
from sr_zoo.network import SRNetwork
from sr_zoo.registry import spec_of

PHOTO = Path(__file__).parents[1] / "examples" / "chelsea.png"
ROWS = slice(60, 84)  # of the photo, mirrored at its right edge to be wide enough
TILE, TILES = 96, 4  # so many beside a halo on both sides, so that no tile sees the whole image
SCALE = 4
PASSES = (None, 0, 2)  # the default, none, two


def compare(tiled: Tensor, whole: Tensor) -> tuple[int, float]:
    """Return the largest difference in 8-bit levels and the PSNR in dB."""
    levels = ((tiled * 255).round() - (whole * 255).round()).abs().max()
    error = (tiled - whole).square().mean().item()
    return int(levels), math.inf if error == 0 else -10 * math.log10(error)


def find(model: str, folder: Path | None) -> tuple[SRNetwork, str]:
    """Return a network and where its weights are from."""
    scale = max(s for s in model_info(model).scales if s <= SCALE)
    files = sorted((folder / model).glob("*")) if folder else []
    for file in files:
        if file.suffix in (".pth", ".pt", ".ckpt", ".safetensors"):
            try:
                network = load_model(file, scale=scale)
            except SRZooError:
                continue
            if network.identity and network.identity.name == model:
                return network, "authors'"
    for tag, origin in (("sr_zoo", "in the package"), ("official", "authors'")):
        try:
            return create_model(model, scale, pretrained=tag), origin
        except SRZooError:
            continue
    torch.manual_seed(0)
    return create_model(model, scale, pretrained=False), "random"


def strip_of(photo: np.ndarray, width: int) -> Tensor:
    """Return a photo, (H, W, 3), mirrored at its right edge up to a width, as (1, 3, H, W)."""
    strip = np.pad(photo, ((0, 0), (0, width - photo.shape[1]), (0, 0)), mode="symmetric")
    return torch.from_numpy(strip).permute(2, 0, 1)[None]


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    photo = np.asarray(Image.open(PHOTO).convert("RGB"), dtype=np.float32)[ROWS] / 255
    print(
        f"Tiles of {TILE} LR pixels against the image in one piece, with as many statistics passes "
        "as are the default and, for comparison, without and with two:\n"
    )
    columns = ("largest difference in 8-bit levels", "PSNR, default", "PSNR, none", "PSNR, two")
    print("|", " | ".join(("network", "scale", "weights", *columns)), "|")
    print("|---" * 7 + "|")
    for model in sys.argv[2:] or list_models():
        network, weights = find(model, folder)
        options = {"dtype": "float32", "runtime": "torch"}
        halo = Upscaler(network, tile=TILE, **options).tiling().halo
        image = strip_of(photo, max(TILES * TILE + 2 * halo, photo.shape[1]))
        whole = Upscaler(network, tile=None, **options).tensor(image)
        cells = {}
        for count in PASSES if spec_of(model).global_statistics else (None,):
            upscaler = Upscaler(network, tile=TILE, exact_passes=count, **options)
            cells[count] = compare(upscaler.tensor(image), whole)
        decibels = [f"{cells[n][1]:.1f} dB" if n in cells else "" for n in PASSES]
        print(
            f"| `{model}` | x{network.scale} | {weights} | {cells[None][0]} |",
            " | ".join(decibels),
            "|",
            flush=True,
        )


if __name__ == "__main__":
    main()
