"""`sr-zoo upscale`: images, folders of images, videos."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import typer

from sr_zoo.cli.options import model_names, parse_size, parse_tile
from sr_zoo.errors import ImageWriteError, OptionError

NAMED = 3  # of the files that are passed over


def command(
    inputs: list[Path] = typer.Argument(help="Image files and folders, or one video."),
    output: str = typer.Option(
        ...,
        "-o",
        "--output",
        help="File for one input; else, or with a / at its end, a folder.",
    ),
    model: str | None = typer.Option(
        None,
        help="Model name, weight id or weight file; the best bundled network by default.",
        autocompletion=model_names,
    ),
    scale: float | None = typer.Option(
        None, help="Any upscaling factor, such as 2.5 or 8; 4 where a model leaves it."
    ),
    width: int | None = typer.Option(None, help="Of the output in pixels, instead of --scale."),
    height: int | None = typer.Option(None, help="Likewise."),
    fit: str | None = typer.Option(
        None, metavar="WxH", help="A box such as 3840x2160 to fit into, instead of --scale."
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N."),
    dtype: str = typer.Option("auto", help="float32, bfloat16, float16, or auto."),
    runtime: str = typer.Option(
        "auto", help="torch, compile, openvino, onnxruntime, ncnn, or auto."
    ),
    verbose: bool = typer.Option(False, "--verbose", help="Say what runs the network, and why."),
    tile: str = typer.Option("auto", help="Side of the tiles in pixels, auto, or off."),
    exact_passes: int | None = typer.Option(
        None, min=0, help="Passes that gather averages over the image; by default, what it takes."
    ),
    alpha: str = typer.Option("bicubic", help="What enlarges opacity: bicubic, or model."),
    budget: str | None = typer.Option(
        None, help="Of a dynamic network: auto, 50%, '20 GMACs', '300 ms'; see sr-zoo info."
    ),
    self_ensemble: bool = typer.Option(
        False, "--self-ensemble", help="Average over flips and rotations (eight times slower)."
    ),
    format: str | None = typer.Option(
        None, help="png, jpg, webp, avif, tif, bmp or gif; by default that of the input or output."
    ),
    quality: int | None = typer.Option(
        None, min=1, max=100, help="For jpg, webp, avif and videos; 100 makes webp lossless."
    ),
    keep_metadata: bool = typer.Option(
        True, "--keep-metadata/--strip", help="Keep EXIF and XMP, or leave them out."
    ),
    codec: str = typer.Option(
        "auto", help="Of videos: h264, hevc or av1; auto is av1 for .webm, else h264."
    ),
    preset: str | None = typer.Option(
        None, help="Of videos: the encoder's own name for how much time it takes, such as veryfast."
    ),
    max_pixels: int | None = typer.Option(
        None, min=1, help="Largest image to read; 178956970 unless told, against malicious files."
    ),
    include: list[str] = typer.Option(["*"], help="Of folders, take files like '*.png' only."),
    exclude: list[str] = typer.Option([], help="Of folders, leave out files like 'old/*'."),
    recursive: bool = typer.Option(True, help="Enter subfolders."),
    skip_existing: bool = typer.Option(
        False, "--skip-existing", help="Leave out inputs whose output exists."
    ),
    report: Path | None = typer.Option(None, help="Write what became of each file as JSON."),
) -> None:
    """Upscale images, folders of images and videos; a run that was killed continues."""
    from PIL import Image

    from sr_zoo.atomic import make_folder
    from sr_zoo.imaging.folder import Selection, not_named_as_images
    from sr_zoo.imaging.pipeline import STATUSES
    from sr_zoo.imaging.remux import SUFFIXES
    from sr_zoo.imaging.video import USUAL_QUALITY, Encoding
    from sr_zoo.inference.files import FileOptions, upscale_files
    from sr_zoo.inference.upscale import Upscaler
    from sr_zoo.inference.video import upscale_video

    videos = [path for path in inputs if path.suffix.lower() in SUFFIXES]
    _check_files(inputs, videos, output)
    if max_pixels is not None:
        Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)  # Pillow warns from here, refuses from twice
    warnings.filterwarnings("ignore", module=r"PIL\.")  # a file's faults are told by its own line
    upscaler = Upscaler(
        model,
        scale,
        device=device,
        dtype=dtype,
        runtime=runtime,
        tile=parse_tile(tile),
        self_ensemble=self_ensemble,
        exact_passes=exact_passes,
        budget=budget,
        width=width,
        height=height,
        fit=parse_size(fit, "--fit") if fit else None,
        alpha=alpha,
    )
    if verbose:
        typer.echo(f"sr-zoo: {upscaler.runtime_reason}", err=True)
    _check_kind(
        bool(videos),
        image_options=format or report or exclude or include != ["*"],
        video_options=preset or codec != "auto",
    )
    if videos:
        target = Path(output)
        if output.endswith(("/", os.sep)) or not target.suffix or target.is_dir():
            make_folder(target, error=ImageWriteError)
            target /= videos[0].name
        if not (skip_existing and target.exists()):
            encoding = Encoding(codec, USUAL_QUALITY if quality is None else quality, preset)
            upscale_video(upscaler, videos[0], target, encoding, strip=not keep_metadata)
        return
    options = FileOptions(
        format=format,
        quality=quality,
        strip=not keep_metadata,
        selection=Selection(tuple(include), tuple(exclude), recursive),
        skip_existing=skip_existing,
        report=report,
    )
    if output.endswith(("/", os.sep)):  # as a path it would lose what makes it a folder
        make_folder(Path(output), error=ImageWriteError)
    others = not_named_as_images(inputs, Path(output), options.selection)
    outcomes = upscale_files(upscaler, inputs, Path(output), options)
    if others:
        typer.echo(f"sr-zoo: {_passed_over(others)}", err=True)
    counts = Counter(outcome.status for outcome in outcomes)
    if len(outcomes) > 1:
        said = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
        typer.echo(f"sr-zoo: {said}", err=True)
    if counts["failed"]:
        raise typer.Exit(1)


def _passed_over(files: Sequence[Path]) -> str:
    """Say which files of folders were left out, by the first few of them."""
    from sr_zoo.imaging.remux import SUFFIXES

    names = ", ".join(file.name for file in files[:NAMED]) + ", ..." * (len(files) > NAMED)
    what = "1 file is" if len(files) == 1 else f"{len(files)} files are"
    video = any(file.suffix.lower() in SUFFIXES for file in files)
    hint = "; a video is upscaled where it is the only input" * video
    return f"left out, as {what} not named as images are: {names}{hint}"


def _check_files(inputs: Sequence[Path], videos: Sequence[Path], output: str) -> None:
    """Refuse pipes, and a video beside other files."""
    if output == "-":
        raise OptionError(
            "-o - would write to a pipe, which images are not written to; name a file"
        )
    if Path("-") in inputs:
        raise OptionError("- is no file; /dev/stdin is what comes through a pipe, for one image")
    if videos and len(inputs) > 1:
        raise OptionError(f"{videos[0]} is a video, and one is upscaled at a time; give it alone")


def _check_kind(is_video: bool, *, image_options: object, video_options: object) -> None:
    """Refuse options that would be passed over, given any."""
    if is_video and image_options:
        raise OptionError(
            "--format, --report, --include and --exclude are for images, not for a video"
        )
    if video_options and not is_video:
        raise OptionError("--codec and --preset are for a video as the only input, not for images")
