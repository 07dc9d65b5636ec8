"""Which files a run over many images reads and writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from unicodedata import normalize

from sr_zoo.errors import ImageReadError, OptionError
from sr_zoo.imaging.formats import (
    BY_SUFFIX,
    READ_ONLY_SUFFIXES,
    named_format,
    output_format,
)

READABLE_SUFFIXES = frozenset(BY_SUFFIX) | frozenset(READ_ONLY_SUFFIXES)


@dataclass(frozen=True)
class Job:
    """One image file to read, and the one to write."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Selection:
    """Which files of a folder are taken.

    Attributes:
        include: Patterns such as ``"*.png"`` or ``"2024/*"``, of which a file's name or its path
            in the folder must match one, in upper or lower case.
        exclude: Patterns of which neither may match any.
        recursive: Whether subfolders are entered.
    """

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    recursive: bool = True

    def takes(self, relative: Path) -> bool:
        """Whether a file, given by its path in the folder, is taken."""

        def matches(patterns: tuple[str, ...]) -> bool:
            texts = (relative.name.lower(), relative.as_posix().lower())
            return any(fnmatchcase(text, pattern.lower()) for text in texts for pattern in patterns)

        return matches(self.include) and not matches(self.exclude)


def plan(
    inputs: Sequence[Path],
    output: Path,
    *,
    format: str | None = None,
    selection: Selection | None = None,
) -> list[Job]:
    """Decide what is read and written, before anything is.

    Folders are mirrored: ``photos/2024/a.jpg`` of the input ``photos`` becomes
    ``output/2024/a.jpg``. Hidden files and folders are left out, and so is the output folder where
    it lies inside an input. Files whose own format cannot be written become PNG.

    Args:
        inputs: Image files and folders.
        output: An image file if there is one input file and this has an ending; else, or if it is
            one already, a folder.
        format: Of every output file, such as ``"webp"``; by default each keeps its own.
        selection: Which files of the input folders are taken; by default all images.

    Raises:
        ImageReadError: A folder cannot be listed, or holds no image that the selection takes.
        ImageWriteError: There is no such format, or the output's ending is of none.
        OptionError: Two inputs would be written to one file, an output would replace an input, or
            several would go into a folder that is named as an image is.
    """
    suffix = named_format(format).suffixes[0] if format else None
    if len(inputs) == 1 and not inputs[0].is_dir() and output.suffix and not output.is_dir():
        output_format(output, format)  # an ending that is no image's is a slip, not a folder's name
        jobs = [Job(inputs[0], output)]
    elif output.suffix.lower() in READABLE_SUFFIXES and not output.is_dir():
        raise OptionError(f"Several images go into a folder, and {output} is named as an image is")
    else:
        jobs = [
            Job(source, output / _output_name(relative, suffix))
            for path in inputs
            for source, relative in _images(path, output, selection or Selection())
        ]
    _check_targets(jobs)
    return jobs


def images_in(inputs: Sequence[Path]) -> list[Path]:
    """Return the files that some inputs stand for, which are files or folders.

    Raises:
        ImageReadError: A folder cannot be listed, or holds no images.
    """
    everything = Selection()
    return [file for path in inputs for file, _ in _images(path, None, everything)]


def not_named_as_images(
    inputs: Sequence[Path], output: Path, selection: Selection | None = None
) -> list[Path]:
    """Return the files of folders that `plan` passes over, though the selection takes them.

    Args:
        inputs: As for `plan`, and so are the others.
        output: A folder inside an input is left out.
        selection: Which files of the input folders are taken.

    Raises:
        ImageReadError: A folder cannot be listed.
    """
    return [
        file
        for path in inputs
        for file, _ in _files(path, output, selection or Selection())
        if path.is_dir() and not _is_image(file)
    ]


def _images(path: Path, output: Path | None, selection: Selection) -> Iterator[tuple[Path, Path]]:
    """Yield the images that an input stands for, each with its path in the output."""
    found = False
    for file, relative in _files(path, output, selection):
        if not path.is_dir() or _is_image(file):
            found = True
            yield file, relative
    if not found:
        raise ImageReadError(f"{path}: the folder holds no images that are to be taken")


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in READABLE_SUFFIXES


def _files(path: Path, output: Path | None, selection: Selection) -> Iterator[tuple[Path, Path]]:
    """Yield an input that is a file, or what the selection takes of a folder."""
    if not path.is_dir():
        yield path, Path(path.name)
        return
    left_out = None if output is None else identity_of(output)

    def is_output(subfolder: Path) -> bool:
        return left_out is not None and identity_of(subfolder) == left_out

    for file in walk(path, is_output, recursive=selection.recursive):
        relative = file.relative_to(path)
        if selection.takes(relative):
            yield file, relative


def identity_of(path: Path) -> tuple[int, int] | Path:
    """Return what tells a file or folder from all others, whichever of its names is given.

    On file systems that ignore case, or how accents are written, one file has several names.
    """
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def _name_on_disk(path: Path) -> str:
    """Return what names of the same file have in common, before it is there."""
    name = os.path.normcase(path.resolve())
    return normalize("NFC", name).casefold() if sys.platform == "darwin" else name


def walk(
    folder: Path, leave_out: Callable[[Path], bool], *, recursive: bool = True
) -> Iterator[Path]:
    """Yield the files of a folder, hidden ones and those of hidden subfolders left out.

    Args:
        folder: Where to start.
        leave_out: Whether a subfolder is left out, with all that is in it.
        recursive: Whether subfolders are entered at all.

    Raises:
        ImageReadError: A folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise ImageReadError(
            f"{error.filename}: the folder cannot be listed ({error.strerror})"
        ) from error

    for parent, folders, files in os.walk(folder, onerror=fail):
        here = Path(parent)
        folders[:] = sorted(
            name
            for name in folders
            if recursive and not name.startswith(".") and not leave_out(here / name)
        )
        yield from (here / name for name in sorted(files) if not name.startswith("."))


def _output_name(relative: Path, suffix: str | None) -> Path:
    if suffix and BY_SUFFIX.get(relative.suffix.lower()) != BY_SUFFIX[suffix]:
        return relative.with_suffix(suffix)
    known = relative.suffix.lower() in BY_SUFFIX
    return relative if known else relative.with_suffix(".png")


def check_report(report: Path, jobs: Sequence[Job]) -> None:
    """Check that a file about a run has a place of its own, before the run.

    Raises:
        OptionError: It would replace an input or an output, or is a folder or will be one.
    """
    if report.is_dir():
        raise OptionError(f"{report} is a folder; name a file for the report")
    identity, name = identity_of(report), _name_on_disk(report)
    for job in jobs:
        for path in (job.source, job.target):
            if identity == identity_of(path):
                raise OptionError(f"The report would replace {path}; choose another name for it")
        if Path(_name_on_disk(job.target)).is_relative_to(name):
            raise OptionError(f"{report} is a folder of outputs; name a file for the report")


def _check_targets(jobs: list[Job]) -> None:
    sources = {identity_of(job.source) for job in jobs}
    writers: dict[str, Path] = {}
    for job in jobs:
        target = _name_on_disk(job.target)
        if identity_of(job.target) in sources:
            raise OptionError(
                f"{job.target} is an input and would be replaced by the output; "
                "choose another output folder"
            )
        if target in writers:
            raise OptionError(
                f"{writers[target]} and {job.source} would both be written to {job.target}; "
                "leave one of them out (--exclude), or give each an output of its own"
            )
        writers[target] = job.source
