"""Many image files, animations among them: one bad file never stops the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, is_dataclass
from hashlib import sha256
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

import torch
from tqdm import tqdm

from sr_zoo import __version__
from sr_zoo.atomic import make_writable, write_atomically
from sr_zoo.errors import ImageWriteError, OptionError
from sr_zoo.imaging.animation import (
    Animation,
    Frame,
    check_animated,
    encode_frames,
    read_frames,
)
from sr_zoo.imaging.folder import Job, Selection, check_report, plan
from sr_zoo.imaging.formats import Format, output_format
from sr_zoo.imaging.journal import Journal
from sr_zoo.imaging.pages import Pages, check_paged, encode_pages, read_pages
from sr_zoo.imaging.picture import Picture
from sr_zoo.imaging.pipeline import Outcome, Pipeline, write_report
from sr_zoo.imaging.read import load, read_image
from sr_zoo.imaging.write import check_holds, check_quality, write_image
from sr_zoo.inference.huge import Streamed, open_streamed
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.paths import as_path
from sr_zoo.progress import unwatched


@dataclass(frozen=True)
class FileOptions:
    """How image files are chosen and written.

    Attributes:
        format: Of the outputs, such as ``"webp"``; None keeps that of each input, or takes what the
            name of a single output says.
        quality: 1 to 100 for formats that lose something; None for their usual.
        strip: Whether EXIF and XMP are left out.
        selection: Which files of folders are taken.
        skip_existing: Whether inputs whose output exists already are left out.
        report: A JSON file to write, of what became of every input; its folder is made.
    """

    format: str | None = None
    quality: int | None = None
    strip: bool = False
    selection: Selection = field(default_factory=Selection)
    skip_existing: bool = False
    report: Path | None = None

    @property
    def encoding(self) -> dict[str, Any]:
        """What `write_image` is told."""
        return {"format": self.format, "quality": self.quality, "strip": self.strip}


_Read: TypeAlias = Picture | Animation | Pages | Streamed
_Upscaled: TypeAlias = Picture | bytes | None


def upscale_files(
    upscaler: Upscaler,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    options: FileOptions | None = None,
) -> list[Outcome]:
    """Upscale image files; failures are told on standard error, one line each.

    Reading, the network and writing run side by side. A run into a folder that is killed continues
    where it stopped when it is started again in the same way.

    Args:
        upscaler: What to upscale with.
        inputs: An image file, a folder whose images are taken, or several of both.
        output: An image file if `inputs` is one file and this has an ending; else a folder,
            in which files keep their names and folders their structure.
        options: How files are chosen and written.

    Returns:
        What became of each input.

    Raises:
        ImageReadError: A folder holds no images.
        ImageWriteError: The output folder or the report cannot be written, or there is no such
            format.
        OptionError: There are no inputs, one or the output is no path, two would be written to the
            same file, an output would replace an input, the report would replace either, or the
            quality is outside 1 to 100.
    """
    named = inputs if isinstance(inputs, Iterable) and not isinstance(inputs, str) else [inputs]
    sources = [as_path(source, "inputs") for source in named]
    output = as_path(output, "output")
    if not sources:
        raise OptionError("There is nothing to upscale; name at least one file or folder")
    options = options or FileOptions()
    check_quality(options.quality)
    jobs = plan(sources, output, format=options.format, selection=options.selection)
    if options.report:
        check_report(options.report, jobs)
        make_writable(options.report.parent, error=ImageWriteError)
    settings = settings_of(upscaler, options.encoding)
    into_folder = jobs[0].target != output
    pipeline = _pipeline(upscaler, options, show_tiles=len(jobs) == 1)
    with Journal(output, settings) if into_folder else nullcontext() as journal:
        outcomes = _run(pipeline, jobs, journal, options.skip_existing)
        if journal and all(outcome.status != "failed" for outcome in outcomes):
            journal.complete()
    if options.report:
        write_report(outcomes, options.report, settings)
    return outcomes


def _run(
    pipeline: Pipeline[_Read, _Upscaled],
    jobs: Sequence[Job],
    journal: Journal | None,
    skip_existing: bool,
) -> list[Outcome]:
    outcomes = []
    with tqdm(total=len(jobs), unit="image", disable=len(jobs) < 2 or unwatched()) as bar:
        for outcome in pipeline.run(jobs, journal=journal, skip_existing=skip_existing):
            outcomes.append(outcome)
            bar.update()
            if outcome.status == "failed":
                tqdm.write(f"sr-zoo: {outcome.sentence}", file=sys.stderr)
    return outcomes


def _pipeline(
    upscaler: Upscaler, options: FileOptions, *, show_tiles: bool
) -> Pipeline[_Read, _Upscaled]:
    def read(job: Job) -> _Read:
        target = output_format(job.target, options.format)
        return open_streamed(job.source, upscaler, target) or _read(job.source)

    hidden = not show_tiles or unwatched()

    def process(image: _Read, job: Job) -> _Upscaled:
        chosen = output_format(job.target, options.format)  # told before hours of work, not after
        if isinstance(image, Streamed):
            image.write(job.target, strip=options.strip, progress=True)
            return None
        if isinstance(image, Picture):
            check_holds(chosen, image, upscaler.output_size(*image.size))
            return upscaler.picture(image, progress=show_tiles)
        if isinstance(image, Pages):
            check_paged(chosen, image.num_pages)
            pages = tqdm(image.pictures, "pages", image.num_pages, leave=False, disable=hidden)
            return encode_pages(map(upscaler.picture, pages), strip=options.strip)
        check_animated(chosen)
        frames = tqdm(image.frames, "frames", image.num_frames, leave=False, disable=hidden)
        return encode_frames(
            (upscaled(frame, chosen) for frame in frames),
            job.target,
            loop=image.loop,
            **options.encoding,
        )

    def upscaled(frame: Frame, format: Format) -> Frame:
        check_holds(format, frame.picture, upscaler.output_size(*frame.picture.size))
        return Frame(upscaler.picture(frame.picture), frame.duration)

    def write(image: _Upscaled, target: Path) -> None:
        if image is None:
            return  # it was too large to wait for this
        if isinstance(image, bytes):
            write_atomically(target, image, error=ImageWriteError)
        else:
            write_image(image, target, **options.encoding)

    return Pipeline(read, process, write)


def _read(source: Path) -> _Read:
    file = load(source)
    return read_frames(file) or read_pages(file) or read_image(file)


def settings_of(upscaler: Upscaler, encoding: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that decides what the outputs look like, in the types that JSON is read as.

    Args:
        upscaler: What upscales.
        encoding: How files are compressed.
    """
    network = upscaler.network
    own = {
        name: value
        for name, value in vars(upscaler).items()
        if value is not network and not name.startswith("_")
    }
    settings = {
        "sr_zoo": __version__,
        "model": network.identity.name if network.identity else type(network).__name__,
        "weights": _digest(network),
        "calibration": network.calibration(),
        **own,
        **encoding,
    }
    return {name: _as_json(value) for name, value in settings.items()}


def _as_json(value: Any) -> Any:
    """Return a setting in the types that JSON is read as, so that it equals what was written."""
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):  # one of NumPy's, too
        return int(value) if isinstance(value, Integral) else float(value)
    return str(value)


def _digest(network: torch.nn.Module) -> str:
    """Return a fingerprint of a network's weights."""
    digest = sha256()
    for name, values in network.state_dict().items():
        digest.update(name.encode())
        digest.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
