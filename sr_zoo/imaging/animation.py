"""Moving pictures in image files: GIF, WebP, APNG and AVIF, frame by frame."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from sr_zoo.errors import ImageReadError, ImageWriteError
from sr_zoo.imaging import tiff
from sr_zoo.imaging.formats import Format, output_format
from sr_zoo.imaging.picture import Metadata, Picture
from sr_zoo.imaging.pil import from_pil, to_pil
from sr_zoo.imaging.read import Source, decoding, load, open_image
from sr_zoo.imaging.write import check_quality, encoder_options, fit

ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
GIF_TICK = 10.0  # milliseconds: the unit of a GIF's durations
GIF_TRANSPARENT = 255  # index of the colour that stands for transparency


@dataclass(frozen=True)
class Frame:
    """One frame, whole: what earlier frames left standing is drawn into it.

    Attributes:
        picture: What is seen.
        duration: For how long, in milliseconds.
    """

    picture: Picture
    duration: float


@dataclass(frozen=True)
class Animation:
    """The frames of a file, decoded one at a time while they are iterated over.

    Attributes:
        frames: Can be iterated over once.
        num_frames: At least 2.
        loop: How often they are shown; 0 for ever.
        format: Pillow's name of the file's format.
    """

    frames: Iterator[Frame]
    num_frames: int
    loop: int
    format: str


def read_frames(source: Source) -> Animation | None:
    """Open an animation, or return None for a file that holds one still picture.

    Args:
        source: As for `read_image`.

    Raises:
        ImageReadError: There is no such file, or it is damaged, or no image. While iterating too:
            a later frame may be damaged.
    """
    data, name = load(source)
    if data.startswith(tiff.SIGNATURES):  # pages, of kinds that Pillow may not know
        return None
    with decoding(name, data):
        image = open_image(data)
        end = getattr(image, "n_frames", 1)
        start = int(bool(image.info.get("default_image")))  # an APNG's, shown where nothing moves
        if image.format not in ANIMATED or end - start < 2:
            return None
        loop = _loop(image)
    return Animation(_frames(image, range(start, end), name, data), end - start, loop, image.format)


def _frames(image: Image.Image, indices: range, name: str, data: bytes) -> Iterator[Frame]:
    for index in indices:
        with decoding(name, data):
            image.seek(index)
            image.load()
            frame = Frame(from_pil(image), float(image.info.get("duration", 0)))
        yield frame


def _loop(image: Image.Image) -> int:
    """Return how often an animation is shown; a GIF counts the repetitions after the first time."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else 0
    return int(loop or 0)


def encode_frames(
    frames: Iterable[Frame],
    path: str | Path,
    *,
    loop: int = 0,
    format: str | None = None,
    quality: int | None = None,
    strip: bool = False,
) -> bytes:
    """Return the file of an animation.

    Durations are kept, in a GIF to a hundredth of a second; successive frames that are equal may be
    joined into one. GIF holds 255 colours a frame and opacity of all or nothing.

    Args:
        frames: All of one size. Each is let go of before the next is asked for.
        path: What the file will be; its ending chooses the format if `format` does not.
        loop: How often to show it; 0 for ever, and always so in AVIF.
        format: ``"gif"``, ``"webp"``, ``"png"`` or ``"avif"``.
        quality: As in `write_image`.
        strip: As in `write_image`.

    Raises:
        ImageWriteError: As in `write_image`; or there is no frame, or the format does not move.
        OptionError: The quality is outside 1 to 100.
    """
    check_quality(quality)
    chosen = output_format(path, format)
    try:
        check_animated(chosen)
        return _encode(frames, chosen, loop, quality, strip)
    except ImageReadError:
        raise
    except ImageWriteError as error:
        raise ImageWriteError(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise ImageWriteError(f"{path}: cannot be written as {chosen.name} ({error})") from error


def check_animated(format: Format) -> None:
    """Raise an ImageWriteError unless a format holds animations."""
    if format.name not in ANIMATED:
        raise ImageWriteError(
            f"{format.name} holds no animation; write one of {', '.join(ANIMATED)}"
        )


def _encode(
    frames: Iterable[Frame], format: Format, loop: int, quality: int | None, strip: bool
) -> bytes:
    images: list[Image.Image] = []
    durations, metadata = [], Metadata()
    for frame in frames:
        picture = fit(frame.picture, format).with_dtype(np.uint8)
        if not images:
            metadata = picture.metadata
        images.append(_image(picture, format))
        durations.append(frame.duration)
        del frame, picture  # whose pixels are several times those of an indexed image
    if not images:
        raise ImageWriteError("an animation needs at least one frame")
    first, *others = _alike(images)
    options = encoder_options(format, metadata.stripped() if strip else metadata, quality)
    options |= _loop_option(format, loop)
    if format.name == "GIF":
        options |= {"duration": _on_ticks(durations), "disposal": 2, "optimize": False}
    else:
        options["duration"] = [round(duration) for duration in durations]
    if format.name == "PNG":
        options |= {"disposal": 0, "blend": 0}  # every frame replaces all that was there
    file = io.BytesIO()
    first.save(file, format.name, save_all=True, append_images=others, **options)
    return file.getvalue()


def _image(picture: Picture, format: Format) -> Image.Image:
    """Return a frame as an image, with its colours chosen if there are to be few."""
    if format.name == "GIF":
        return _indexed(picture)
    mode = "RGB" if picture.alpha is None else "RGBA"
    return Image.fromarray(np.asarray(to_pil(picture).convert(mode)))


def _alike(images: list[Image.Image]) -> list[Image.Image]:
    """Give all images opacity if some have it."""
    if len({image.mode for image in images}) == 1:
        return images
    return [image.convert("RGBA") for image in images]


def _indexed(picture: Picture) -> Image.Image:
    color = to_pil(replace(picture, alpha=None, metadata=Metadata())).convert("RGB")
    indexed = color.quantize(GIF_TRANSPARENT, dither=Image.Dither.FLOYDSTEINBERG)
    if picture.alpha is not None:
        mask = Image.fromarray((picture.alpha < 128).astype(np.uint8) * 255)
        indexed.paste(GIF_TRANSPARENT, mask=mask)
        indexed.info["transparency"] = GIF_TRANSPARENT
    return indexed


def _loop_option(format: Format, loop: int) -> dict[str, int]:
    if format.name == "GIF":
        return {} if loop == 1 else {"loop": max(loop - 1, 0)}
    return {} if format.name == "AVIF" else {"loop": loop}


def _on_ticks(durations: list[float]) -> list[int]:
    """Round durations to a GIF's unit so that their sum drifts by no more than one of them."""
    ends = np.rint(np.cumsum([0.0, *durations]) / GIF_TICK) * GIF_TICK
    return [int(duration) for duration in np.diff(ends)]
