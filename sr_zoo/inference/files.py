"""Many image files: one bad file never stops the rest."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from sr_zoo.errors import ImageReadError, ImageWriteError, OptionError, SRZooError
from sr_zoo.imaging.formats import BY_SUFFIX, READ_ONLY_SUFFIXES
from sr_zoo.imaging.read import read_image
from sr_zoo.imaging.write import write_image
from sr_zoo.inference.upscale import Upscaler

READABLE = frozenset({*BY_SUFFIX, *READ_ONLY_SUFFIXES})


def upscale_files(upscaler: Upscaler, inputs: Sequence[Path], output: Path) -> list[Path]:
    """Upscale image files; failures are told on standard error, one line each.

    Args:
        upscaler: What to upscale with.
        inputs: Image files, and folders whose images are all taken, subfolders included.
        output: An image file if `inputs` is one file and this has an image's suffix; else a folder,
            in which files keep their names and folders their structure.

    Returns:
        The inputs that failed.

    Raises:
        OptionError: Two inputs would be written to the same file.
    """
    jobs = _jobs(inputs, output)
    failed = []
    with tqdm(jobs, unit="image", disable=len(jobs) < 2) as bar:
        for source, target in bar:
            try:
                _upscale_file(upscaler, source, target, progress=len(jobs) == 1)
            except SRZooError as error:
                failed.append(source)
                tqdm.write(f"sr-zoo: {error}", file=sys.stderr)
    return failed


def _upscale_file(upscaler: Upscaler, source: Path, target: Path, *, progress: bool) -> None:
    picture = upscaler.picture(read_image(source), progress=progress)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageWriteError(
            f"Cannot make the folder {str(target.parent)!r}: {error.strerror}"
        ) from error
    write_image(picture, target)


def _jobs(inputs: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Pair every image file with where its result goes."""
    if len(inputs) == 1 and not inputs[0].is_dir() and output.suffix.lower() in READABLE:
        return [(inputs[0], output)]
    jobs: dict[Path, Path] = {}
    for path in inputs:
        for source, name in _images(path):
            target = output / name
            if target in jobs:
                raise OptionError(
                    f"{str(jobs[target])!r} and {str(source)!r} would both be written to "
                    f"{str(target)!r}; upscale them into different folders"
                )
            jobs[target] = source
    return [(source, target) for target, source in jobs.items()]


def _images(path: Path) -> list[tuple[Path, Path]]:
    """Return the image files that an input stands for, each with its name in the output."""
    if not path.is_dir():
        return [(path, Path(path.name))]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in READABLE and p.is_file())
    if not found:
        raise ImageReadError(f"The folder {str(path)!r} holds no images")
    return [(file, file.relative_to(path)) for file in found]
