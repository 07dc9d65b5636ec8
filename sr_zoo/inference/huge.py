"""Images too large for the memory: read, upscaled and written strip by strip, through libvips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sr_zoo.atomic import make_folder
from sr_zoo.errors import ImageReadError, ImageWriteError
from sr_zoo.imaging.formats import Format
from sr_zoo.imaging.integrity import undecodable
from sr_zoo.imaging.picture import LUMA, Array
from sr_zoo.imaging.strips import PACKING, writing_strips
from sr_zoo.inference.memory import largest_core
from sr_zoo.inference.tiling import Tiling
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.network import device_of
from sr_zoo.progress import unwatched

STREAMED_PIXELS = 200_000_000  # of output: from here on it takes gigabytes at once
LARGEST_SIDE = 512  # LR pixels of a tile, and so of the strips that are held
STRIP_BYTES = 128 << 20  # of the output in a strip; two are held
FEATURE_BYTES = 768 << 20  # of the network's features
COLORS = {("uchar", "srgb"), ("uchar", "b-w"), ("ushort", "rgb16"), ("ushort", "grey16")}


def open_streamed(path: Path, upscaler: Upscaler, target: Format) -> Streamed | None:
    """Open an image file that is to go through strip by strip.

    Args:
        path: An image file.
        upscaler: What will upscale it.
        target: Format of the output.

    Returns:
        None where the usual way will do: the output is not that large; or must do: libvips is not
        installed, the input is a pipe, the output is neither TIFF nor PNG, the size is no single
        run of the network, or the image is transparent, turned, of several pages, or no grey or RGB
        of 8 or 16 bits.

    Raises:
        ImageReadError: The file claims more pixels than Pillow's limit allows.
    """
    try:
        import pyvips  # type: ignore[import-untyped]  # it has no annotations
    except (ImportError, OSError):
        return None
    if target.name not in PACKING or upscaler.self_ensemble or upscaler.tile is None:
        return None
    if not path.is_file():  # what a pipe holds can be read only once
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
    return Streamed(
        path, upscaler.suited_to(np.uint8 if image.format == "uchar" else np.uint16), target
    )


def _is_plain(image: Any) -> bool:
    def get(name: str) -> int:
        return int(image.get(name)) if image.get_typeof(name) else 1

    upright = get("orientation") == 1 and get("n-pages") == 1
    return upright and image.bands in (1, 3) and (image.format, image.interpretation) in COLORS


class Rows:
    """An image file as the tensor of its RGB that `run_tiled` cuts, of which few rows are held.

    Args:
        path: The file.
        device: Of the tensors.

    Attributes:
        image: Of pyvips, for what its header says.
        held: How many rows before the last one read can be had again without reading anew.
        border: How many of the first and of the last rows can be had at any time, for tiles that go
            on at the opposite border.
    """

    held = border = 0

    def __init__(self, path: Path, device: torch.device) -> None:
        self._path, self._device = path, device
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
        height = self.shape[-2]
        if rows.stop <= self.border:
            return self._tensor(self._borders[0][rows, columns])
        if self.border and rows.start >= height - self.border:
            first = height - len(self._borders[1])
            return self._tensor(self._borders[1][rows.start - first : rows.stop - first, columns])
        if rows.start < self._end - len(self._rows):
            self._open()  # another pass over the image
        while self._end < rows.stop:
            self._read(rows.stop - self._end)
        first = self._end - len(self._rows)
        return self._tensor(self._rows[rows.start - first : rows.stop - first, columns])

    @cached_property
    def _borders(self) -> tuple[Array, Array]:
        """The first and the last rows; takes a pass over the image."""
        height = self.shape[-2]
        edges = Rows(self._path, self._device)
        edges.held = min(self.border, height)
        edges._read(edges.held)
        first = edges._rows
        while edges._end < height:
            edges._read(min(edges.held, height - edges._end))
        return first, edges._rows

    def _tensor(self, cut: Array) -> Tensor:
        tensor = torch.from_numpy(cut.astype(np.float32) / self.white)
        return tensor.permute(2, 0, 1)[None].expand(-1, 3, -1, -1).to(self._device)

    def _read(self, count: int) -> None:
        width = self.image.width
        data = self._region.fetch(0, self._end, width, count)
        fresh = np.frombuffer(data, self.dtype).reshape(count, width, self.image.bands)
        self._rows = np.concatenate([self._rows, fresh])[-max(self.held, count) :]
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
        self._rows = self._empty(0)
        self._filled = np.zeros(0, int)

    def _empty(self, rows: int) -> Array:
        return np.empty((rows, self._width, self._channels), self._dtype)

    def write(self, corner: tuple[int, int], pixels: Tensor) -> None:
        """Take one tile, (1, 3, h, w), whose top left corner lies there in the output."""
        rgb = pixels[0].permute(1, 2, 0).clamp(0, 1).cpu().numpy()
        colors = rgb if self._channels == 3 else (rgb @ LUMA)[..., np.newaxis]
        levels = np.rint(colors * self._white).astype(self._dtype)
        top, left = corner[0] - self._top, corner[1]
        bottom = top + levels.shape[0]
        if bottom > len(self._rows):
            begun, self._rows = self._rows, self._empty(bottom)
            self._rows[: len(begun)] = begun
            self._filled = np.concatenate([self._filled, np.zeros(bottom - len(begun), int)])
        self._rows[top:bottom, left : left + levels.shape[1]] = levels
        self._filled[top:bottom] += levels.shape[1]
        ready = int((self._filled == self._width).cumprod().sum())
        if ready:
            done, self._rows = self._rows[:ready], self._rows[ready:].copy()
            self._filled = self._filled[ready:]
            self._top += ready
            self._emit(done)


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

        make_folder(target.parent, error=ImageWriteError)
        try:
            self._write(target, strip, progress)
        except pyvips.Error as error:
            raise ImageReadError(f"{self._path}: {undecodable(error)}") from error

    @torch.inference_mode()
    def _write(self, target: Path, strip: bool, progress: bool) -> None:
        network = self._upscaler.network
        device = device_of(network)
        rows = Rows(self._path, device)
        tiling = self._tiling(rows)
        rows.held = tiling.side + 2 * (tiling.halo + tiling.grid)
        rows.border = tiling.halo + tiling.grid if tiling.wraps else 0
        height, width = rows.shape[-2:]
        total = height * width * (tiling.passes + 1)
        with (
            writing_strips(target, rows.image, network.scale, self._format.name, strip) as emit,
            tqdm(
                total=total,
                desc=self._path.name,
                unit="px",
                unit_scale=True,
                disable=not progress or unwatched(),
            ) as bar,
        ):
            ordered = Ordered(width * network.scale, rows, emit)
            self._upscaler.run_tiled(rows, tiling, ordered.write, bar.update)

    def _tiling(self, rows: Rows) -> Tiling:
        """Return how to cut the image so that what is held at once stays small."""
        network, tiling = self._upscaler.network, self._upscaler.tiling()
        row_bytes = rows.shape[-1] * rows.image.bands * rows.dtype.itemsize * network.scale**2
        most = min(LARGEST_SIDE, STRIP_BYTES // row_bytes)
        side = min(
            tiling.side,
            max(most // tiling.grid, 1) * tiling.grid,
            largest_core(network, tiling.halo, tiling.grid, most=FEATURE_BYTES),
        )
        return replace(tiling, side=side)
