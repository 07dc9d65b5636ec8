"""Where a network spends its effort, painted over the image; and experts counted over a folder."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sr_zoo.api import network_of
from sr_zoo.blocks import LowRankExpert, MoRE
from sr_zoo.dynamic import Budget, DynamicNetwork, Effort
from sr_zoo.errors import OptionError
from sr_zoo.imaging.pil import from_pil, to_pil
from sr_zoo.imaging.read import read_image
from sr_zoo.inference.budget import BudgetRunner
from sr_zoo.network import SRNetwork, device_of

TILE = 64  # LR pixels of the tiles that experts are shown for
OPACITY = 0.5
CAPTION = 16  # pixels
# from cheap to dear: the ends and the middle of matplotlib's viridis
RAMP = ((68, 1, 84), (33, 145, 140), (253, 231, 37))


def effort(
    model: str | SRNetwork,
    image: str | Path | Image.Image,
    budget: Budget | float | str = "auto",
    *,
    scale: int | None = None,
) -> Image.Image:
    """Paint what a network spends where over the image, one panel for each part that decides.

    For SMSR the pixels that each module computes, for ARM the width of each patch, for PCSR the
    class of each pixel, for SeemoRe the expert of each block on each tile of the image.

    Args:
        model: A model name, which gets its default weights, the id, file or folder of weights, or a
            network.
        image: At the size that the network enlarges; a file or a picture.
        budget: As for `Upscaler`; SeemoRe takes ``"auto"`` alone.
        scale: As for `create_model`.

    Raises:
        OptionError: The network spends the same everywhere, or takes no such budget.
    """
    picture, pixels = open_rgb(image)
    network = network_of(model, scale) if isinstance(model, str) else model
    return paint(picture, measure(network, pixels, budget))


def open_rgb(image: str | Path | Image.Image) -> tuple[Image.Image, Tensor]:
    """Return an image without alpha, as a picture and as (1, 3, H, W) in [0, 1]."""
    picture = from_pil(image) if isinstance(image, Image.Image) else read_image(image)
    rgb = to_pil(picture.with_dtype(np.uint8)).convert("RGB")
    return rgb, torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None] / 255


@torch.inference_mode()
def measure(network: SRNetwork, image: Tensor, budget: Budget | float | str = "auto") -> Effort:
    """Return what a network spends on an image (1, 3, H, W), and where; see `effort`."""
    image = image.to(device_of(network))
    if isinstance(network, DynamicNetwork):
        share = BudgetRunner(network, budget).resolve(image.shape[-2], image.shape[-1])
        return network.spend(image, share)
    experts = _experts(network)
    if Budget.parse(budget).kind != "auto":
        raise OptionError(f"{type(network).__name__} takes no budget; leave it out")
    height, width = image.shape[-2:]
    rows = [
        torch.stack([_chosen(network, tile) for tile in row.split(TILE, dim=-1)], dim=1)
        for row in image.split(TILE, dim=-2)
    ]
    chosen = torch.stack(rows, dim=1)  # (blocks, rows, columns)
    chosen = chosen.repeat_interleave(TILE, 1).repeat_interleave(TILE, 2)[:, :height, :width]
    maps = {f"block {index + 1}": levels for index, levels in enumerate(chosen)}
    ranks = [e.values.out_channels for e in experts[0].experts if isinstance(e, LowRankExpert)]
    names = tuple(f"rank {rank}" for rank in ranks)
    return Effort(image.new_empty(0), names, maps)


def _experts(network: SRNetwork) -> list[MoRE]:
    found = [module for module in network.modules() if isinstance(module, MoRE)]
    if not found:
        raise OptionError(
            f"{type(network).__name__} spends the same everywhere; "
            "sr_zoo.list_models(tags='dynamic') names models that may not"
        )
    return found


def _chosen(network: SRNetwork, image: Tensor) -> Tensor:
    """Return the expert that each block of a network takes for an image: (blocks,)."""
    chosen: list[int] = []
    hooks = [
        module.router.register_forward_hook(
            lambda _module, _inputs, scores: chosen.append(int(scores[0].argmax()))
        )
        for module in _experts(network)
    ]
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.tensor(chosen)


@torch.inference_mode()
def routing_statistics(network: SRNetwork, images: Iterable[str | Path]) -> dict[str, Tensor]:
    """Count which expert the blocks of SeemoRe take over a data set.

    Args:
        network: A network with MoRE blocks.
        images: Files at the size that the network enlarges.

    Returns:
        From the name of each block, first to last, to the share of images that took each expert.
    """
    chosen = []
    for file in images:
        pixels = torch.tensor(read_image(file).to_rgb()).permute(2, 0, 1)[None]
        chosen.append(_chosen(network, pixels.to(device_of(network))))
    if not chosen:
        raise OptionError("Routing statistics need at least one image")
    counts = torch.nn.functional.one_hot(torch.stack(chosen), len(_experts(network)[0].experts))
    shares = counts.double().mean(0)
    return {f"block {index + 1}": share for index, share in enumerate(shares)}


def paint(image: Image.Image, spent: Effort) -> Image.Image:
    """Paint each map over the image, a panel for each, and below them what the colours say."""
    panels = [_panel(image, levels, len(spent.levels)) for levels in spent.maps.values()]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    width, height = image.width, image.height + CAPTION
    font = ImageFont.load_default()
    ends = list(accumulate((26 + int(font.getlength(name)) for name in spent.levels), initial=4))
    size = (max(columns * width, ends[-1]), rows * height + CAPTION)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for index, (name, panel) in enumerate(zip(spent.maps, panels, strict=True)):
        left, top = index % columns * width, index // columns * height
        sheet.paste(panel, (left, top + CAPTION))
        draw.text((left + 4, top + 2), name, fill="black")
    for index, (name, left) in enumerate(zip(spent.levels, ends, strict=False)):
        top = rows * height + 2
        draw.rectangle((left, top + 1, left + 10, top + 11), fill=_color(index, len(spent.levels)))
        draw.text((left + 14, top), name, fill="black", font=font)
    return sheet


def _panel(image: Image.Image, levels: Tensor, count: int) -> Image.Image:
    palette = np.array([_color(index, count) for index in range(count)], dtype=np.uint8)
    colors = Image.fromarray(palette[levels.numpy()])
    return Image.blend(image, colors.resize(image.size, Image.Resampling.NEAREST), OPACITY)


def _color(index: int, count: int) -> tuple[int, int, int]:
    position = index / max(count - 1, 1) * (len(RAMP) - 1)
    low = min(int(position), len(RAMP) - 2)
    part = position - low
    red, green, blue = (
        round(a + (b - a) * part) for a, b in zip(RAMP[low], RAMP[low + 1], strict=True)
    )
    return red, green, blue
