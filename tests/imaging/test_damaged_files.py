"""Files that were cut, flipped, patched and stuffed: a sentence or a picture, nothing else."""

import io
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from sr_zoo.errors import ImageReadError
from sr_zoo.imaging import Metadata, Picture, read_image
from sr_zoo.imaging.animation import Frame, encode_frames, read_frames
from sr_zoo.imaging.formats import FLOAT32, FORMATS, UINT8, UINT16, Format
from sr_zoo.imaging.write import encode_image

MUTATIONS_PER_FILE = 20
LONGEST_MESSAGE = 300


def pictures(format: Format) -> Iterator[tuple[str, Picture]]:
    rows, columns = np.mgrid[:24, :32]
    ramp = np.stack([columns * 8, rows * 10, (rows + columns) * 4], 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    metadata = Metadata(exif=exif.tobytes(), xmp=b"<x:xmpmeta/>", dpi=(72, 72))
    for dtype in (UINT8, UINT16, FLOAT32):
        if dtype in format.dtypes:
            for channels in (1, 3):
                for alpha in (None, ramp[..., 1])[: 1 + format.alpha]:
                    picture = Picture(ramp[..., :channels].copy(), alpha, metadata)
                    kind = f"{format.name} {dtype} {channels} {alpha is not None}"
                    yield kind, picture.with_dtype(dtype)


def originals() -> dict[str, bytes]:
    files = {
        kind: encode_image(picture, format)
        for format in FORMATS
        for kind, picture in pictures(format)
    }
    color = Image.fromarray(np.arange(24 * 32 * 3, dtype=np.uint32).reshape(24, 32, 3).astype("u1"))
    for name, mode, options in (
        ("PNG", "P", {"transparency": 3}),
        ("TIFF", "CMYK", {"compression": "tiff_lzw"}),
        ("TIFF", "YCbCr", {}),
        ("TIFF", "RGB", {"compression": "jpeg"}),
        ("JPEG", "CMYK", {}),
        ("JPEG2000", "RGB", {}),
        ("PPM", "RGB", {}),
    ):
        file = io.BytesIO()
        color.convert(mode).save(file, name, **options)  # type: ignore[arg-type]
        files[f"{name} {mode} {options}"] = file.getvalue()
    return files


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(data)
    place = int(generator.integers(len(changed)))
    match generator.integers(5):
        case 0:
            return data[:place]
        case 1:
            for index in generator.integers(0, len(changed), 4):
                changed[index] = generator.integers(256)
        case 2:  # headers are where the sizes are
            for index in generator.integers(0, min(len(changed), 120), 2):
                changed[index] = generator.choice([0, 1, 127, 128, 255])
        case 3:
            del changed[place : place + 9]
        case _:
            changed[place:place] = generator.bytes(12)
    return bytes(changed)


def assert_sentences(messages: list[str]) -> None:
    assert messages
    for message in messages:
        assert "\n" not in message
        assert len(message) < LONGEST_MESSAGE


ORIGINALS = originals()


@pytest.mark.filterwarnings("ignore")  # Pillow warns of odd metadata, which is no fault of ours
@pytest.mark.parametrize("kind", ORIGINALS)
def test_a_damaged_file_gets_a_sentence(kind: str) -> None:
    generator = np.random.default_rng(len(kind))
    original = read_image(ORIGINALS[kind])
    messages = []
    for _ in range(MUTATIONS_PER_FILE):
        data = mutated(ORIGINALS[kind], generator)
        started = time.monotonic()
        try:
            picture = read_image(data)
        except ImageReadError as error:
            messages.append(str(error))
        else:
            if kind.startswith("PNG"):  # its checksums leave no excuse
                np.testing.assert_array_equal(picture.pixels, original.pixels)
        assert time.monotonic() - started < 10
    assert_sentences(messages)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_a_damaged_animation_gets_a_sentence(
    suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("moving") / f"a{suffix}"
    frames = [Frame(Picture(np.full((9, 9, 3), v, np.uint8)), 50) for v in (0, 100, 200)]
    path.write_bytes(encode_frames(frames, path))
    generator = np.random.default_rng(0)
    messages = []
    for _ in range(2 * MUTATIONS_PER_FILE):
        try:
            animation = read_frames(mutated(path.read_bytes(), generator))
            for index, _ in enumerate(animation.frames if animation else ()):
                assert index < 100
        except ImageReadError as error:
            messages.append(str(error))
    assert_sentences(messages)
