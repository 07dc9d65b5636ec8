"""Patches to learn from, cut out of images that are decoded and reduced once.

Which patch an iteration sees depends on the seed and on the number of the patch alone, not on
workers, processes or where a run was stopped: that is what makes resuming exact.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sr_zoo.atomic import make_folder, write_atomically
from sr_zoo.errors import FileWriteError, ImageFormatError, ImageReadError, OptionError
from sr_zoo.evaluation.resize import imresize
from sr_zoo.imaging import read_image
from sr_zoo.imaging.folder import READABLE_SUFFIXES, identity_of, walk
from sr_zoo.training.degradations import build_mixture
from sr_zoo.training.recipe import Data
from sr_zoo.training.record import is_run
from sr_zoo.training.sampling import EqualisedPlaces
from sr_zoo.weights.cache import ELSEWHERE, cache_folder

Pixels = NDArray[np.uint8]
KEPT_OPEN = 32  # files; patches are cut out of one image after another
WARNED = 5  # files of which each is named in a warning; the rest is counted


@dataclass(frozen=True)
class _Place:
    """A file of pixels, and how much of it is used."""

    path: str
    height: int
    width: int


class Mapped:
    """Images in files, each mapped when it is looked at.

    A mapped file counts as an open one, and systems allow a process a thousand or fewer. Other
    processes are sent where the files lie, not their pixels.
    """

    def __init__(self) -> None:
        self._images: list[Pixels | _Place] = []

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> Pixels:
        image = self._images[number]
        return _open_again(image) if isinstance(image, _Place) else image

    def __iter__(self) -> Iterator[Pixels]:
        return map(self.__getitem__, range(len(self)))

    def append(self, image: Pixels) -> None:
        """Add an image, by its place if it is mapped."""
        if isinstance(image, np.memmap) and image.filename is not None:
            self._images.append(_Place(str(image.filename), *image.shape[:2]))
        else:
            self._images.append(image)


@lru_cache(maxsize=KEPT_OPEN)
def _open_again(place: _Place) -> Pixels:
    pixels: Pixels = np.load(place.path, mmap_mode="r")
    return pixels[: place.height, : place.width]


@dataclass
class Images:
    """The images of a run, decoded.

    Attributes:
        hr: 8-bit RGB (H, W, 3), sides multiples of the scale.
        lr: The same images reduced.
        skipped: Why other files are not among them, a sentence each.
    """

    hr: Mapped = field(default_factory=Mapped)
    lr: Mapped = field(default_factory=Mapped)
    skipped: list[str] = field(default_factory=list)


def open_images(
    data: Data, scale: int, *, cache: Path | None = None, progress: Any = iter
) -> Images:
    """Decode and reduce the images of a recipe, those that no earlier run has.

    Args:
        data: Where they are.
        scale: Upscaling factor.
        cache: Folder for decoded images (three bytes for a pixel); None for ``training`` in the
            library's cache.
        progress: Called with the list of files; returns what to loop over.

    Raises:
        OptionError: A folder does not exist, no image of them all can be used, or there is no room
            for decoded ones.
    """
    cache = cache or cache_folder() / "training"
    files = list(_pairs(data))
    images = Images()
    for hr_file, lr_file in progress(files):
        try:
            hr, lr = _open_pair(hr_file, lr_file, scale, cache)
        except (ImageReadError, ImageFormatError) as error:
            images.skipped.append(str(error))
            continue
        if min(hr.shape[:2]) < data.patch_size:
            images.skipped.append(
                f"{hr_file}: {hr.shape[0]}x{hr.shape[1]} pixels are fewer than a patch of "
                f"{data.patch_size}x{data.patch_size}; use a smaller patch size or larger images"
            )
            continue
        images.hr.append(hr)
        images.lr.append(lr)
    for reason in images.skipped[:WARNED]:
        warnings.warn(f"left out of training: {reason}", stacklevel=2)
    if len(images.skipped) > WARNED:
        warnings.warn(f"left out of training: {len(images.skipped)} files in all", stacklevel=2)
    if not images.hr:
        raise OptionError(
            f"None of the {len(files)} images in {', '.join(data.train)} can be trained on. "
            f"{images.skipped[0]}"
        )
    return images


def _pairs(data: Data) -> Iterator[tuple[Path, Path | None]]:
    """Yield every HR file with its LR file, or with None where that is to be made.

    Pictures that runs have written into the folders, and images to validate on, are not among them.
    """
    if not data.train:
        raise OptionError("There is nothing to train on: name a folder of images (--train-dir)")
    if data.lr and len(data.lr) != len(data.train):
        raise OptionError(
            f"data.lr must name one folder for each of the {len(data.train)} in data.train, "
            f"got {len(data.lr)}"
        )
    validation = {identity_of(Path(name).expanduser()) for name in data.val}

    def is_apart(subfolder: Path) -> bool:
        return identity_of(subfolder) in validation or is_run(subfolder)

    for number, name in enumerate(data.train):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise OptionError(f"{name} is no folder of images to train on")
        found = sorted(walk(folder, is_apart))
        files = [path for path in found if path.suffix.lower() in READABLE_SUFFIXES]
        if not files:
            raise OptionError(
                f"{name} holds no images to train on; they are recognised by their suffix: "
                f"{', '.join(sorted(READABLE_SUFFIXES))}"
            )
        lr_folder = Path(data.lr[number]).expanduser() if data.lr else None
        for file in files:
            yield file, None if lr_folder is None else lr_folder / file.relative_to(folder)


def _open_pair(hr_file: Path, lr_file: Path | None, scale: int, cache: Path) -> tuple[Pixels, Any]:
    """Return an image and its reduction, from the cache if it has them."""
    try:
        state = hr_file.stat()
    except OSError as error:  # a link to nowhere, for instance
        raise ImageReadError(f"{hr_file}: cannot be read ({error.strerror})") from error
    facts = f"{hr_file.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    key = hashlib.sha256(facts.encode(errors="surrogateescape")).hexdigest()[:32]
    hr_path, lr_path = cache / f"{key}.npy", cache / f"{key}_x{scale}.npy"
    hr = _kept(hr_path, lambda: _decode(hr_file))
    height, width = (side // scale * scale for side in hr.shape[:2])
    if not height or not width:
        raise ImageReadError(f"{hr_file}: {hr.shape[0]}x{hr.shape[1]} pixels are too few")
    hr = hr[:height, :width]
    if lr_file is not None:
        lr = _decode(lr_file)
        if lr.shape[:2] != (height // scale, width // scale):
            raise ImageReadError(
                f"{lr_file}: {lr.shape[0]}x{lr.shape[1]} pixels do not belong to {hr_file} "
                f"at scale {scale}"
            )
        return hr, lr
    return hr, _kept(lr_path, lambda: imresize(np.array(hr), 1 / scale))


def _decode(file: Path) -> Pixels:
    pixels = read_image(file).without_alpha().with_dtype(np.uint8).pixels
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _kept(path: Path, make: Callable[[], Pixels]) -> Pixels:
    """Return an array from the cache, made anew if it is not there, or damaged."""
    with suppress(OSError, ValueError, EOFError):
        return np.load(path, mmap_mode="r")
    _keep(path, make())
    return np.load(path, mmap_mode="r")


def _keep(path: Path, pixels: Pixels) -> None:
    """Write an array so that another run never reads half of it."""
    content = io.BytesIO()  # to a file, numpy does not report every full disk
    np.save(content, pixels)
    try:
        make_folder(path.parent)
        write_atomically(path, content.getvalue())
    except FileWriteError as error:
        raise OptionError(f"Decoded images cannot be kept: {error}; {ELSEWHERE}") from error


class Patches(Dataset[tuple[Tensor, Tensor]]):
    """Patches by their number in the run: LR and HR, RGB in [0, 1].

    Every image gives one patch in each pass, in an order drawn for the pass, unless the recipe's
    sampler draws another.

    Args:
        images: To cut from.
        scale: Upscaling factor.
        data: How to cut.
        seed: Of what is drawn.
        total: Patches of the whole run, over which a sampler gives way to the uniform one.
    """

    def __init__(
        self, images: Images, scale: int, data: Data, seed: int, *, total: int = 0
    ) -> None:
        self.images = images
        self.scale = scale
        self.side = data.patch_size // scale
        self.augment = data.augment
        self.seed = seed
        self._degrade = build_mixture(data.degradations, scale)
        self._sampler = (
            EqualisedPlaces(images.lr, self.side, total) if data.sampler == "equalised" else None
        )
        self._pass = -1
        self._order = np.arange(0)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, 1, number))
        drawn = None if self._sampler is None else self._sampler.draw(number, rng)
        image, top, left = drawn or self._uniform(number, rng)
        return self._cut(self.images.lr[image], self.images.hr[image], top, left, rng)

    def _uniform(self, number: int, rng: np.random.Generator) -> tuple[int, int, int]:
        """Return image, top and left of the patch that comes without a sampler."""
        turn, position = divmod(number, len(self.images.hr))
        if turn != self._pass:
            order = np.random.default_rng((self.seed, 0, turn))
            self._pass, self._order = turn, order.permutation(len(self.images.hr))
        image = int(self._order[position])
        height, width = self.images.lr[image].shape[:2]
        top, left = (int(rng.integers(side - self.side + 1)) for side in (height, width))
        return image, top, left

    def _cut(
        self, lr: Pixels, hr: Pixels, top: int, left: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        small = _square(lr, top, left, self.side)
        large = _square(hr, top * self.scale, left * self.scale, self.side * self.scale)
        if self.augment:
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            small, large = (_turned(x, turns, mirrored) for x in (small, large))
        if self._degrade is not None:
            small = self._degrade(large, rng)
        return small, large


def _square(pixels: Pixels, top: int, left: int, side: int) -> Tensor:
    square = np.array(pixels[top : top + side, left : left + side])
    return torch.from_numpy(square).movedim(-1, 0).float() / 255


def _turned(x: Tensor, turns: int, mirrored: bool) -> Tensor:
    x = torch.rot90(x, turns, (-2, -1))
    return x.flip(-1) if mirrored else x


class _Numbers:
    """The numbers of the patches in each batch of one process, from an iteration on."""

    def __init__(self, start: int, stop: int, batch_size: int, rank: int, world: int) -> None:
        self.iterations = range(start, stop)
        self.batch_size, self.rank, self.world = batch_size, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch_size // self.world
        for iteration in self.iterations:
            first = iteration * self.batch_size + self.rank * share
            yield list(range(first, first + share))

    def __len__(self) -> int:
        return len(self.iterations)


def batches(
    patches: Patches,
    data: Data,
    *,
    start: int,
    stop: int,
    rank: int = 0,
    world: int = 1,
    pin: bool = False,
) -> Iterable[tuple[Tensor, Tensor]]:
    """Return the batches of some iterations, this process's share of each.

    Args:
        patches: What to take them from.
        data: Batch size and number of workers.
        start: First iteration, counted from 0.
        stop: Iteration after the last.
        rank: Number of this process.
        world: How many processes share a batch.
        pin: Whether to put batches where a GPU can fetch them.
    """
    return DataLoader(
        patches,
        batch_sampler=_Numbers(start, stop, data.batch_size, rank, world),
        num_workers=data.workers,
        generator=torch.Generator(),  # else it draws from the one whose state is saved
        pin_memory=pin,
    )
