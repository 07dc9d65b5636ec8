"""Images too large for the memory: read, upscaled and written strip by strip, through libvips.

Between the network and the encoder the output waits, uncompressed, in a file beside the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sr_zoo.errors import ImageReadError, ImageWriteError
from sr_zoo.imaging.atomic import writing_atomically, writing_scratch
from sr_zoo.imaging.formats import Format
from sr_zoo.imaging.picture import LUMA, Array
from sr_zoo.inference.upscale import Upscaler

STREAMED_PIXELS = 200_000_000  # of output: from here on it takes gigabytes at once
LARGEST_SIDE = 512  # LR pixels of a tile, and so of the strips that are held
TILED_SIDE = 256  # of the tiles inside a TIFF
COLORS = {("uchar", "srgb"), ("uchar", "b-w"), ("ushort", "rgb16"), ("ushort", "grey16")}
PACKING: dict[str, dict[str, Any]] = {
    "TIFF": {
        "tile": True,
        "tile_width": TILED_SIDE,
        "tile_height": TILED_SIDE,
        "bigtiff": True,
        "compression": "deflate",
        "predictor": "horizontal",
    },
    "PNG": {"compression": 3},
}
KEPT = ("icc-profile-data", "exif-data", "xmp-data")  # libvips' names


def open_streamed(path: Path, upscaler: Upscaler, target: Format) -> Streamed | None:
    """Open an image file that is to go through strip by strip.

    Args:
        path: An image file.
        upscaler: What will upscale it.
        target: Format of the output.

    Returns:
        None where the usual way will do: the output is not that large; or must do: libvips is not
        installed, the output is neither TIFF nor PNG, the size is no single run of the network, or
        the image is transparent, turned, of several pages, or no grey or RGB of 8 or 16 bits.

    Raises:
        ImageReadError: The file claims more pixels than Pillow's limit allows.
    """
    try:
        import pyvips  # type: ignore[import-untyped]  # it has no annotations
    except (ImportError, OSError):
        return None
    if target.name not in PACKING or upscaler.self_ensemble or upscaler.tile is None:
        return None
    try:
        image = pyvips.Image.new_from_file(str(path), access="sequential")
    except pyvips.Error:
        return None  # the usual way says what is wrong
    scale = upscaler.network.scale
    height, width = image.height, image.width
    if height * width * scale**2 < STREAMED_PIXELS or not _is_plain(image):
        return None
    if upscaler.output_size(height, width) != (height * scale, width * scale):
        return None
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > 2 * limit:
        raise ImageReadError(
            f"{path}: has too many pixels ({width}x{height}); if you trust the file, raise the "
            "limit with --max-pixels, or PIL.Image.MAX_IMAGE_PIXELS"
        )
    return Streamed(path, upscaler, target)


def _is_plain(image: Any) -> bool:
    def get(name: str) -> int:
        return int(image.get(name)) if image.get_typeof(name) else 1

    upright = get("orientation") == 1 and get("n-pages") == 1
    return upright and image.bands in (1, 3) and (image.format, image.interpretation) in COLORS


class Rows:
    """An image file as the tensor of its RGB that `run_tiled` cuts, of which few rows are held.

    Args:
        path: The file.
        held: How many rows before the last one read can be had again without reading anew.
        device: Of the tensors.
    """

    def __init__(self, path: Path, held: int, device: torch.device) -> None:
        self._path, self._held, self._device = path, held, device
        self._open()
        self.shape = torch.Size((1, 3, self.image.height, self.image.width))

    def _open(self) -> None:
        import pyvips

        self.image = pyvips.Image.new_from_file(
            str(self._path), access="sequential", fail_on="error"
        )
        self._region = pyvips.Region.new(self.image)
        deep = self.image.format == "ushort"
        self.dtype: np.dtype[Any] = np.dtype(np.uint16 if deep else np.uint8)
        self.white = 65535 if deep else 255
        self._rows = np.empty((0, self.image.width, self.image.bands), self.dtype)
        self._end = 0

    def __getitem__(self, place: tuple[Any, slice, slice]) -> Tensor:
        """Return a cut ``[..., top:bottom, left:right]`` as (1, 3, h, w) in [0, 1]."""
        _, rows, columns = place
        if rows.start < self._end - len(self._rows):
            self._open()  # another pass over the image
        while self._end < rows.stop:
            self._read(rows.stop - self._end)
        first = self._end - len(self._rows)
        cut = self._rows[rows.start - first : rows.stop - first, columns]
        tensor = torch.from_numpy(cut.astype(np.float32) / self.white)
        return tensor.permute(2, 0, 1)[None].expand(-1, 3, -1, -1).to(self._device)

    def _read(self, count: int) -> None:
        width = self.image.width
        data = self._region.fetch(0, self._end, width, count)
        fresh = np.frombuffer(data, self.dtype).reshape(count, width, self.image.bands)
        self._rows = np.concatenate([self._rows, fresh])[-max(self._held, count) :]
        self._end += count


class Ordered:
    """Puts finished tiles together into whole rows, and passes them on in their order.

    Args:
        width: Of the output.
        like: Whose type and number of channels the output has.
        emit: Receives (n, width, channels) of its type.
    """

    def __init__(self, width: int, like: Rows, emit: Callable[[Array], object]) -> None:
        self._dtype, self._white, self._emit = like.dtype, like.white, emit
        self._channels = like.image.bands
        self._width, self._top = width, 0
        self._rows = np.empty((0, width, self._channels), self._dtype)
        self._filled = np.zeros(0, int)

    def write(self, corner: tuple[int, int], pixels: Tensor) -> None:
        """Take one tile, (1, 3, h, w), whose top left corner lies there in the output."""
        rgb = pixels[0].permute(1, 2, 0).clamp(0, 1).cpu().numpy()
        colors = rgb if self._channels == 3 else (rgb @ LUMA)[..., np.newaxis]
        levels = np.rint(colors * self._white).astype(self._dtype)
        top, left = corner[0] - self._top, corner[1]
        bottom = top + levels.shape[0]
        if bottom > len(self._rows):
            new = bottom - len(self._rows)
            more = np.empty((new, self._width, self._channels), self._dtype)
            self._rows = np.concatenate([self._rows, more])
            self._filled = np.concatenate([self._filled, np.zeros(new, int)])
        self._rows[top:bottom, left : left + levels.shape[1]] = levels
        self._filled[top:bottom] += levels.shape[1]
        ready = int((self._filled == self._width).cumprod().sum())
        if ready:
            self._emit(self._rows[:ready])
            self._rows, self._filled = self._rows[ready:].copy(), self._filled[ready:]
            self._top += ready


class Streamed:
    """An image file and how it will be upscaled; made by `open_streamed`."""

    def __init__(self, path: Path, upscaler: Upscaler, target: Format) -> None:
        self._path, self._upscaler, self._format = path, upscaler, target

    def write(self, target: Path, *, strip: bool, progress: bool) -> None:
        """Upscale the image into a file, whole or not at all.

        Raises:
            ImageReadError: The file is damaged.
            ImageWriteError: The output cannot be written.
            OutOfMemoryError: Not even a small tile fits the memory.
        """
        import pyvips

        target.parent.mkdir(parents=True, exist_ok=True)
        with writing_atomically(target) as partial, writing_scratch(target) as raw:
            try:
                _encode(raw, partial, self._fill(raw, progress), self._format, strip)
            except pyvips.Error as error:
                said = " ".join(str(error).split())
                if said.startswith("unable to write") or "write error" in said:
                    raise ImageWriteError(f"{target}: cannot be written ({said})") from error
                raise ImageReadError(
                    f"{self._path}: cannot be decoded, it is truncated or damaged ({said})"
                ) from error

    @torch.inference_mode()
    def _fill(self, raw: Path, progress: bool) -> Rows:
        """Write the samples of the output one after the other; return the input."""
        tiling = self._upscaler.tiling()
        cells = max(LARGEST_SIDE // tiling.grid, 1)
        tiling = replace(tiling, side=min(tiling.side, cells * tiling.grid))
        device = next(self._upscaler.network.parameters(), torch.empty(0)).device
        rows = Rows(self._path, tiling.side + 2 * (tiling.halo + tiling.grid), device)
        height, width = rows.shape[-2:]
        total = height * width * (tiling.passes + 1)
        with (
            raw.open("wb") as file,
            tqdm(
                total=total, desc=self._path.name, unit="px", unit_scale=True, disable=not progress
            ) as bar,
        ):
            ordered = Ordered(
                width * self._upscaler.network.scale, rows, lambda done: file.write(done.tobytes())
            )
            self._upscaler.run_tiled(rows, tiling, ordered.write, bar.update)
        return rows


def _encode(raw: Path, path: Path, rows: Rows, format: Format, strip: bool) -> None:
    """Compress the samples in a file into an image file, with what the input said besides."""
    import pyvips

    original = rows.image
    samples = raw.stat().st_size // (rows.dtype.itemsize * original.bands)
    scale = math.isqrt(samples // (original.width * original.height))
    image = pyvips.Image.rawload(
        str(raw),
        original.width * scale,
        original.height * scale,
        original.bands,
        format=original.format,
        interpretation=original.interpretation,
    ).copy(xres=original.xres * scale, yres=original.yres * scale)
    for name in KEPT:
        if original.get_typeof(name):
            image.set_type(pyvips.GValue.blob_type, name, original.get(name))
    save = {"TIFF": image.tiffsave, "PNG": image.pngsave}[format.name]
    options = {"keep": "icc"} if strip else {}
    save(str(path), **PACKING[format.name], **options)
