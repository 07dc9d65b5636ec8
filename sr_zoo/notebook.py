"""Looking at pictures side by side in a notebook: plain HTML that needs no server."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image
from torch import Tensor

from sr_zoo.atomic import write_atomically
from sr_zoo.errors import ImageFormatError, OptionError
from sr_zoo.imaging.pil import from_pil, to_pil
from sr_zoo.imaging.read import read_image

STYLE = """
<style>
#{id} {{ font: 13px system-ui, sans-serif; }}
#{id} figure {{ margin: 0; }}
#{id} figcaption {{ padding: 2px 0 6px; }}
#{id} img {{ display: block; width: 100%; {rendering} }}
#{id} .grid {{ display: grid; gap: 8px; grid-template-columns: repeat({columns}, minmax(0, 1fr)); }}
#{id} .slider {{ position: relative; max-width: {width}px; margin-bottom: 12px; }}
#{id} .slider .after {{ position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)); }}
#{id} .slider .line {{
  position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 3px #000; pointer-events: none;
}}
#{id} .slider input {{
  position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize;
}}
#{id} .slider input:focus-visible ~ .line {{ outline: 3px solid #4c9ffe; }}
#{id} .names {{ display: flex; justify-content: space-between; max-width: {width}px; }}
</style>
"""
SLIDER = """
<div class="names"><span>{first}</span><span>{second}</span></div>
<div class="slider" style="--at: 50%">
  <img src="{before}" alt="{first}">
  <div class="after"><img src="{after}" alt="{second}"></div>
  <input type="range" min="0" max="100" step="0.1" value="50"
    aria-label="Boundary between {first} and {second}"
    oninput="this.parentNode.style.setProperty('--at', this.value + '%')">
  <div class="line"></div>
</div>
"""
FIGURE = '<figure><img src="{picture}" alt="{label}"><figcaption>{label}</figcaption></figure>'
WIDEST = 900  # CSS pixels of the slider


@dataclass(frozen=True)
class Comparison:
    """Pictures of one size, shown by a notebook as a slider between the first two and a grid.

    Attributes:
        images: All of the size of the largest.
        labels: One for each.
    """

    images: tuple[Image.Image, ...]
    labels: tuple[str, ...]

    def to_html(self) -> str:
        """Return a fragment of HTML with the pictures inside; nothing is loaded from elsewhere."""
        identity = f"sr-zoo-{uuid4().hex[:12]}"
        pictures = [_data_url(image) for image in self.images]
        labels = [html.escape(label) for label in self.labels]
        width = self.images[0].width
        parts = [
            STYLE.format(
                id=identity,
                columns=min(len(pictures), 3),
                width=max(min(width * max(WIDEST // width, 1), WIDEST), 1),
                rendering="image-rendering: pixelated;" if width < WIDEST // 2 else "",
            )
        ]
        first, second = labels[0], labels[1]
        parts.append(
            SLIDER.format(first=first, second=second, before=pictures[0], after=pictures[1])
        )
        if len(pictures) > 2:
            figures = (
                FIGURE.format(picture=picture, label=label)
                for picture, label in zip(pictures, labels, strict=True)
            )
            parts.append(f'<div class="grid">{"".join(figures)}</div>')
        return f'<div id="{identity}">{"".join(parts)}</div>'

    def _repr_html_(self) -> str:
        return self.to_html()

    def save(self, path: str | Path) -> None:
        """Write a page that any browser shows.

        Raises:
            FileWriteError: The file cannot be written.
        """
        page = f'<!doctype html><meta charset="utf-8"><title>Comparison</title>{self.to_html()}'
        write_atomically(path, page.encode())


def compare(*images: Any, labels: Sequence[str] | None = None) -> Comparison:
    """Show pictures side by side in a notebook: a before/after slider, and a grid from three on.

    Smaller ones are enlarged to the size of the largest by repeating pixels, so that a small
    original can stand beside its upscaled versions.

    Args:
        images: Two or more paths, PIL images, numpy arrays or tensors, as `Upscaler` takes them.
        labels: One for each; by default their numbers and sizes.

    Raises:
        OptionError: There are fewer than two images, or not one label for each.
        ImageFormatError: Something is no image.
        ImageReadError: A file is missing or damaged.
    """
    if len(images) < 2:
        raise OptionError(f"compare needs two images or more, got {len(images)}")
    if labels is not None and len(labels) != len(images):
        raise OptionError(f"compare needs {len(images)} labels for as many images: {labels!r}")
    pictures = [_to_pil(image) for image in images]
    if labels is None:
        labels = [f"{n}: {p.width}x{p.height}" for n, p in enumerate(pictures, 1)]
    size = max(picture.width for picture in pictures), max(picture.height for picture in pictures)
    same = tuple(picture.resize(size, Image.Resampling.NEAREST) for picture in pictures)
    return Comparison(same, tuple(labels))


def _to_pil(image: Any) -> Image.Image:
    if isinstance(image, (str, Path, bytes)):
        return _shown(to_pil(read_image(image)))
    if isinstance(image, Image.Image):
        return _shown(to_pil(from_pil(image)))  # upright, as `Upscaler` takes it
    if isinstance(image, Tensor):
        batched = image.detach().cpu()
        if batched.ndim == 4 and len(batched) == 1:
            batched = batched[0]
        if batched.ndim == 3:
            image = batched.permute(1, 2, 0).float().numpy()
            if not batched.is_floating_point():
                image = image.astype(np.uint8 if str(batched.dtype) == "torch.uint8" else np.uint16)
    if isinstance(image, np.ndarray) and image.ndim in (2, 3) and image.size:
        return _from_array(image)
    raise ImageFormatError(
        f"Cannot show a {type(image).__name__}; give a path, a PIL image, an array (H, W, C) or a "
        "tensor (C, H, W)"
    )


def _from_array(values: np.ndarray[Any, Any]) -> Image.Image:
    if values.dtype == np.uint16:
        values = values / 65535
    if values.dtype.kind == "f":
        values = np.rint(values.clip(0, 1) * 255)
    levels = values.astype(np.uint8)
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[..., 0]
    if levels.ndim == 3 and levels.shape[2] not in (3, 4):
        raise ImageFormatError(f"Cannot show an array of shape {values.shape}; channels come last")
    return _shown(Image.fromarray(levels))


def _shown(image: Image.Image) -> Image.Image:
    """Return an image in a mode that every browser shows as it is."""
    if image.mode in ("I;16", "F"):  # Pillow would cut off what is above 255, and fractions
        return _from_array(np.asarray(image))
    return image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA")


def _data_url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
