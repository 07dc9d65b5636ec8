"""Moving pictures: every frame whole, for as long as it was shown."""

import io
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
from PIL import Image

from sr_zoo.errors import ImageReadError, ImageWriteError
from sr_zoo.imaging import Picture, read_image, write_image
from sr_zoo.imaging.animation import Frame, encode_frames, read_frames

DURATIONS = [30.0, 50.0, 100.0, 70.0, 40.0]


def moving_square(alpha: bool) -> list[Frame]:
    frames = []
    for index, duration in enumerate(DURATIONS):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[..., index % 3] = 200
        pixels[index : index + 5, index : index + 5] = 255 - 40 * index
        opacity = np.full((20, 30), 255, np.uint8)
        opacity[10:, index * 5 : index * 5 + 5] = 0
        frames.append(Frame(Picture(pixels, opacity if alpha else None), duration))
    return frames


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng", ".avif"])
@pytest.mark.parametrize("loop", [0, 1, 3])
def test_round_trip(tmp_path: Path, suffix: str, alpha: bool, loop: int) -> None:
    path = tmp_path / f"a{suffix}"
    frames = moving_square(alpha)
    path.write_bytes(encode_frames(iter(frames), path, loop=loop, quality=100))
    animation = read_frames(path)
    assert animation is not None
    assert animation.loop == (0 if suffix == ".avif" else loop)
    read = list(animation.frames)
    assert animation.num_frames == len(read) == len(frames)
    for actual, expected in zip(read, frames, strict=True):
        assert actual.duration == expected.duration
        pixels = actual.picture.pixels.astype(int)
        visible = np.full((20, 30), True)
        if alpha:
            np.testing.assert_array_equal(actual.picture.alpha, expected.picture.alpha)
            visible = expected.picture.alpha > 0
        else:
            assert actual.picture.alpha is None
        difference = np.abs(pixels - expected.picture.pixels)[visible].max()
        assert difference <= (2 if suffix == ".avif" else 0)


def test_frames_are_drawn_over_those_before_them() -> None:
    """Pillow stores only what changes; a reader must draw it over what is left standing."""
    first = Image.new("RGB", (16, 16), (200, 0, 0))
    second = first.copy()
    second.paste((0, 200, 0), (4, 4, 8, 8))
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[second], duration=50, disposal=1)
    animation = read_frames(file.getvalue())
    assert animation is not None
    frames = [frame.picture.pixels for frame in animation.frames]
    np.testing.assert_array_equal(frames[0], np.asarray(first))
    np.testing.assert_array_equal(frames[1], np.asarray(second))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_a_frame_is_let_go_of_before_the_next_comes(suffix: str) -> None:
    alive: WeakSet[Picture] = WeakSet()

    def frames() -> Iterator[Frame]:
        for shade in range(0, 200, 20):
            picture = Picture(np.full((9, 8, 3), shade, np.uint8))
            alive.add(picture)
            yield Frame(picture, 40)
            del picture
            assert not alive

    assert encode_frames(frames(), f"a{suffix}")


def test_frames_with_and_without_opacity_make_one_animation() -> None:
    opaque = np.full((9, 8, 3), 100, np.uint8)
    alpha = np.tile(np.array([0, 255], np.uint8), (9, 4))
    data = encode_frames([Frame(Picture(opaque), 40), Frame(Picture(opaque, alpha), 40)], "a.webp")
    animation = read_frames(data)
    assert animation is not None
    first, second = (frame.picture for frame in animation.frames)
    assert first.is_opaque
    assert np.array_equal(second.alpha, alpha)


def test_a_gifs_uneven_durations_do_not_drift(tmp_path: Path) -> None:
    frames = [Frame(frame.picture, 33.3) for frame in moving_square(False)]
    (tmp_path / "a.gif").write_bytes(encode_frames(frames, "a.gif"))
    animation = read_frames(tmp_path / "a.gif")
    assert animation is not None
    assert sum(frame.duration for frame in animation.frames) == 170


def test_the_picture_behind_an_apng_is_no_frame() -> None:
    images = [Image.new("RGB", (4, 4), color) for color in ("red", "green", "blue")]
    file = io.BytesIO()
    images[0].save(file, "PNG", save_all=True, append_images=images[1:], default_image=True)
    animation = read_frames(file.getvalue())
    assert animation is not None
    assert animation.num_frames == 2
    assert [frame.picture.pixels[0, 0].argmax() for frame in animation.frames] == [1, 2]


def test_stills_are_none_and_bad_requests_are_told(tmp_path: Path) -> None:
    still = moving_square(False)[0].picture
    write_image(still, tmp_path / "a.png")
    assert read_frames(tmp_path / "a.png") is None
    with pytest.raises(ImageWriteError, match=r"a\.jpg: JPEG holds no animation"):
        encode_frames(moving_square(False), "a.jpg")
    with pytest.raises(ImageWriteError, match="at least one frame"):
        encode_frames([], "a.gif")
    (tmp_path / "a.gif").write_bytes(encode_frames(moving_square(False), "a.gif"))
    assert read_image(tmp_path / "a.gif").size == (20, 30)
    (tmp_path / "cut.gif").write_bytes((tmp_path / "a.gif").read_bytes()[:-1])
    with pytest.raises(ImageReadError, match=r"cut\.gif: .*truncated"):
        read_frames(tmp_path / "cut.gif")
