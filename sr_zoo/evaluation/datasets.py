"""Folders of images to measure on: the benchmarks under their mirrors' file names, or any images.

Where a folder has LR images they are used; where it has none they are made from the HR images as
MATLAB would, which for the benchmarks gives the same files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from sr_zoo.errors import ImageFormatError, ImageReadError, OptionError
from sr_zoo.evaluation.metrics import PEAK
from sr_zoo.evaluation.resize import imresize
from sr_zoo.imaging import tiff

Pixels = NDArray[np.uint8]

SUFFIXES = {".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"}
DEEP = re.compile(r"1[0246]|32")  # bits in Pillow's names of how values are stored
LISTED = 3  # file names that a message lists

# how a folder's name, lower case and without punctuation, tells what is in it
HR_FOLDER = re.compile(r"(.*hr|.*gt(mod\d+)?|.*original|.*groundtruth|targets?)")
_LR = r"(.*l[rq](bi(c|cubic)?)?|inputs?)"
LR_FOLDER = _LR + r"(x?{scale}|{scale}x)"
ANY_SCALE_LR_FOLDER = re.compile(_LR)
OTHER_SCALE_LR_FOLDER = re.compile(_LR + r"(x?\d+|\d+x)")
CROPPED_FOLDER = re.compile(r"imagesrf(\d+)")

# what mirrors add to an image's name: `babyx4`, `img_001_SRF_4_LR`, `0801_LRBI_x4`, `baby_HR`,
# `Canon_001_LR4`
MARKS = r"([_-](SRF[_-]\d+|LRBI|LR(x?{scale})?|HR|GT|bicubic)|[_-]?x{scale})+$"
HR_MARK = re.compile(r"(.+[_-])(HR|GT)([_-]?x\d+)?")
LR_MARK = re.compile(r"[_-](LR(x?\d+)?|LRBI)([_-]|$)", re.IGNORECASE)
SCALE_MARK = re.compile(r"(?P<name>.*?)[_-]?(x|(?<=[_-]LR)x?)(?P<scale>\d)", re.IGNORECASE)
RESULTS = re.compile(r".*[_-]SRF[_-]\d+[_-]")  # a collection that has them beside its originals


@dataclass(frozen=True)
class Sample:
    """One image to measure on.

    Attributes:
        name: The image's name without what mirrors add to it.
        hr: The image itself.
        lr: Its reduction, or None to make it.
        scale: HR pixels per LR pixel along each side.
    """

    name: str
    hr: Path
    lr: Path | None
    scale: int

    def read(self) -> tuple[Pixels, Pixels]:
        """Return LR and HR (H, W, 3), HR cropped at the bottom and right to a multiple of LR.

        Raises:
            ImageReadError: A file is missing, damaged or no image.
            ImageFormatError: A file is no 8-bit image, or the two sizes do not belong together.
        """
        lr, hr = self.read_stored()
        return imresize(hr, 1 / self.scale) if lr is None else lr, hr

    def read_stored(self) -> tuple[Pixels | None, Pixels]:
        """Return the same, but None for an LR image that is to be made, which takes long.

        Raises:
            ImageReadError: As for `read`.
            ImageFormatError: As for `read`.
        """
        hr = read_rgb(self.hr)
        if self.lr is None:
            height, width = (side // self.scale * self.scale for side in hr.shape[:2])
            if not height or not width:
                raise ImageFormatError(
                    f"{self.hr} has {_size(hr)} pixels, too few for scale {self.scale}."
                )
            return None, hr[:height, :width]
        lr = read_rgb(self.lr)
        height, width = (side * self.scale for side in lr.shape[:2])
        surplus = (hr.shape[0] - height, hr.shape[1] - width)
        if min(surplus) < 0 or max(surplus) >= self.scale:
            raise ImageFormatError(
                f"{self.hr} has {_size(hr)} pixels and {self.lr} has {_size(lr)}: they do not "
                f"belong together at scale {self.scale}."
            )
        return lr, hr[:height, :width]


@dataclass(frozen=True)
class EvalSet:
    """Images to measure on at one scale.

    Attributes:
        name: As tables call it.
        scale: Upscaling factor.
        samples: In alphabetical order.
        problems: What had to be left out, a sentence each.
    """

    name: str
    scale: int
    samples: tuple[Sample, ...]
    problems: tuple[str, ...] = ()


def read_rgb(path: Path) -> Pixels:
    """Return an 8-bit image file as RGB (H, W, 3); grey is repeated, alpha ignored.

    Colour profiles and orientation are not applied, since the benchmarks' numbers are of the
    stored values.

    Raises:
        ImageReadError: The file is missing, damaged or no image.
        ImageFormatError: It has another depth than 8 bits, or other colours than RGB and grey.
    """
    try:
        with Image.open(path) as image:
            stored = _stored(image)
            if image.mode not in EIGHT_BIT_MODES or DEEP.search(stored):
                raise ImageFormatError(
                    f"{path} is stored as {stored}; measuring is defined on 8-bit RGB and grey; "
                    "convert it to that first."
                )
            return np.array(image.convert("RGB"))
    except ImageFormatError:
        raise
    except UnidentifiedImageError:
        raise ImageReadError(f"{path} is no image, or of an unknown format.") from None
    except FileNotFoundError:
        raise ImageReadError(f"{path} does not exist.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageReadError(f"{path} is damaged or unreadable: {error}.") from error


def _stored(image: ImageFile) -> str:
    """Return how Pillow calls an image's values as they lie in the file, such as ``RGB;16B``."""
    if not image.tile:
        return image.mode
    if (depth := tiff.depth_of(image)) > np.iinfo(np.uint8).bits:
        return f"{image.mode};{depth}"  # of planes Pillow says nothing more
    codec, _, _, args = image.tile[0]
    # beside it are a file's sizes and offsets, which say nothing of depth
    mode, *others = args if isinstance(args, tuple) else (args,)
    # but a PPM's largest value does, which a bitmap has not
    return f"{mode};16" if codec.startswith("ppm") and max(others, default=0) > PEAK else str(mode)


def open_folder(
    folder: Path, scale: int, *, lr_folder: Path | None = None, name: str | None = None
) -> EvalSet:
    """Find the images of a folder, and pair them with their reductions if there are any.

    Recognised are the layouts of the common mirrors (`HR` beside `LR_bicubic/X4`, `GTmod12` beside
    `LRbicx4`, `DIV2K_valid_HR` beside `DIV2K_valid_LR_bicubic/X4`, `gt` beside `lq`, `image_SRF_4`
    with both, `Canon_001_HR` beside `Canon_001_LR4`), and a plain folder of HR images.

    Args:
        folder: What to look through.
        scale: Upscaling factor.
        lr_folder: Where the LR images are, if not where mirrors put them.
        name: As tables should call it; None for the folder's own name.

    Raises:
        OptionError: The folder does not exist, or has no images.
    """
    if not folder.is_dir():
        raise OptionError(f"{folder} is no folder. Name a folder of images or a known data set.")
    if lr_folder is not None and not lr_folder.is_dir():
        raise OptionError(f"{lr_folder} is no folder of LR images.")
    hr_folder = _hr_folder(folder, scale)
    lr_folder = lr_folder or _lr_folder(folder, scale)
    hr_files = images_of(hr_folder)
    problems = []
    if lr_folder is None:
        problems += _unused(folder, hr_folder, scale)
        reductions = _reductions(hr_files)
        hr_files = [path for path in hr_files if path not in reductions]
        lr_files = [path for path, marked in reductions.items() if marked in (None, scale)]
    else:
        lr_files = images_of(lr_folder)
    if lr_folder is None and lr_files and not hr_files:
        raise OptionError(
            f"{hr_folder} has no HR images: all are named as LR images are, such as "
            f"{lr_files[0].name}. Name the folder of HR images, and this one with --lr."
        )
    hr_files, results = _originals(hr_files)
    if results:
        problems.append(
            f"{_few(results)} left out: beside them is an image marked as the original."
        )
    if not hr_files:
        raise OptionError(
            f"{hr_folder} has no HR images. Images are recognised by their suffix: "
            f"{', '.join(sorted(SUFFIXES))}."
        )
    samples, unpaired = _pair(
        hr_files, lr_files, scale, paired=bool(lr_files) or lr_folder is not None
    )
    return EvalSet(name or folder.resolve().name, scale, samples, (*problems, *unpaired))


def _reductions(files: list[Path]) -> dict[Path, int | None]:
    """Return what is named as LR images are, with the scale that the name states.

    Those are marked as such, or stand beside their original: `babyx4` and `baby`.
    """
    stems = {path.stem for path in files}
    found = {}
    for path in files:
        scaled = SCALE_MARK.fullmatch(path.stem)
        if LR_MARK.search(path.stem) or (scaled and scaled["name"] in stems):
            found[path] = int(scaled["scale"]) if scaled else None
    return found


def _originals(files: list[Path]) -> tuple[list[Path], list[str]]:
    """Leave out what lies beside an image marked as the original and begins with its name.

    Returns:
        The images that are left, and those left out that are not known to be methods' results.
    """
    marked = {path: match[1] for path in files if (match := HR_MARK.fullmatch(path.stem))}
    known = tuple(marked.values())
    kept = [path for path in files if path in marked or not path.stem.startswith(known)]
    out = [str(path) for path in files if path not in kept and not RESULTS.match(path.stem)]
    return kept, out


def _unused(folder: Path, hr_folder: Path, scale: int) -> list[str]:
    """Name the subfolders beside that of HR images which may be meant as LR images."""
    known = (HR_FOLDER, CROPPED_FOLDER, OTHER_SCALE_LR_FOLDER)
    return [
        f"{path} is not used: its name does not say that it holds LR images for scale {scale}; "
        "if it does, name it with --lr."
        for path in (_subfolders(folder) if hr_folder != folder else ())
        if not any(kind.fullmatch(_plain(path.name)) for kind in known) and images_of(path)
    ]


def _pair(
    hr_files: list[Path], lr_files: list[Path], scale: int, *, paired: bool
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    marks = re.compile(MARKS.format(scale=scale), re.IGNORECASE)
    # the last one stands for all of its name
    hr_files = sorted(hr_files, key=lambda path: "bicubic" not in path.stem.lower())
    hr_names = {_bare(path.stem, marks): path for path in hr_files}
    stems = {path.stem: name for name, path in hr_names.items()}
    lr_names = {stems.get(path.stem, _bare(path.stem, marks)): path for path in lr_files}
    problems = []
    if len(hr_names) < len(hr_files):
        twice = [str(path) for path in hr_files if path not in hr_names.values()]
        problems.append(f"{_few(twice)} left out: another file is the same image by its name.")
    if not paired:
        samples = [Sample(name, path, None, scale) for name, path in sorted(hr_names.items())]
        return tuple(samples), tuple(problems)
    if alone := sorted(hr_names.keys() - lr_names.keys()):
        files = _few([str(hr_names[name]) for name in alone])
        problems.append(f"{files} left out: there is no LR image for scale {scale}.")
    if alone := sorted(lr_names.keys() - hr_names.keys()):
        files = _few([str(lr_names[name]) for name in alone])
        problems.append(f"{files} left out: there is no HR image.")
    names = sorted(hr_names.keys() & lr_names.keys())
    samples = [Sample(name, hr_names[name], lr_names[name], scale) for name in names]
    return tuple(samples), tuple(problems)


def _bare(stem: str, marks: re.Pattern[str]) -> str:
    return marks.sub("", stem) or stem


def _few(files: list[str]) -> str:
    more = len(files) - LISTED
    return ", ".join(files[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _hr_folder(folder: Path, scale: int) -> Path:
    """Return the subfolder of HR images, or the folder itself if none is named like one."""
    subfolders = _subfolders(folder)
    for path in subfolders:
        if HR_FOLDER.fullmatch(_plain(path.name)):
            return path
    cropped = {
        int(match[1]): path
        for path in subfolders
        if (match := CROPPED_FOLDER.fullmatch(_plain(path.name)))
    }
    # images cropped for scale 2 do for 4 too
    fitting = [factor for factor in cropped if scale % factor == 0]
    return cropped[max(fitting)] if fitting else folder


def _lr_folder(folder: Path, scale: int) -> Path | None:
    subfolders = _subfolders(folder)
    deeper = [path for subfolder in subfolders for path in _subfolders(subfolder)]
    wanted = re.compile(LR_FOLDER.format(scale=scale))
    for path in (*subfolders, *deeper):
        if wanted.fullmatch(_plain(str(path.relative_to(folder)))):
            return path
    for path in subfolders:
        if ANY_SCALE_LR_FOLDER.fullmatch(_plain(path.name)) and images_of(path):
            return path
    return None


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, except those with images to train on."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and "train" not in p.name.lower())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def images_of(folder: Path) -> list[Path]:
    """Return the images that lie in a folder, by their names' endings, in alphabetical order."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _size(image: Pixels) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"
