"""Upscaling files of every kind: the pixels, their type and all that the file said besides."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from torch import Tensor

from sr_zoo.api import create_model
from sr_zoo.cli import main
from sr_zoo.errors import ImageWriteError, OptionError
from sr_zoo.imaging import Metadata, Picture, read_image, write_image
from sr_zoo.imaging.animation import Frame, encode_frames, read_frames
from sr_zoo.imaging.journal import NAME
from sr_zoo.inference.files import FileOptions, upscale_files
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.network import SRNetwork

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Repeat(SRNetwork):
    """Repeats every pixel, so that nobody need guess what comes out."""

    def __init__(self) -> None:
        super().__init__(scale=2)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x.repeat_interleave(2, -2).repeat_interleave(2, -1)


def repeating() -> Upscaler:
    return Upscaler(Repeat(), tile=None)


def repeated(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    size = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    channels, has_alpha = draw(st.sampled_from([1, 3])), draw(st.booleans())
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    values = generator.random((*size, channels + has_alpha), np.float32)
    if dtype != np.float32:
        values = (values * np.iinfo(dtype).max).astype(dtype)
    alpha = None
    if has_alpha:  # of one value, since repetition is not how an alpha is enlarged
        alpha = np.full(size, values[0, 0, -1], dtype)
        alpha = np.maximum(alpha, dtype(1) if dtype != np.float32 else dtype(0.1))
    metadata = Metadata(
        icc=PROFILE if draw(st.booleans()) and channels == 3 else None,
        xmp=b"<x:xmpmeta/>" if draw(st.booleans()) else None,
        dpi=draw(st.sampled_from([None, (300.0, 300.0), (72.0, 144.0)])),
    )
    return Picture(values[..., :channels].copy(), alpha, metadata)


@settings(max_examples=60, deadline=None)
@given(picture=pictures(), suffix=st.sampled_from([".png", ".tif"]), orientation=st.integers(1, 8))
def test_any_picture_comes_out_as_its_repetition(
    tmp_path_factory: pytest.TempPathFactory, picture: Picture, suffix: str, orientation: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    if suffix == ".png" and picture.pixels.dtype == np.float32:
        picture = picture.with_dtype(np.uint16)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    stored = Metadata(**{**vars(picture.metadata), "exif": exif.tobytes()})
    write_image(Picture(picture.pixels, picture.alpha, stored), folder / f"a{suffix}")
    upright = read_image(folder / f"a{suffix}")
    turned = suffix == ".png" and orientation >= 5  # our own TIFFs are upright already
    assert upright.size == (picture.size[::-1] if turned else picture.size)

    (outcome,) = upscale_files(repeating(), [folder / f"a{suffix}"], folder / f"b{suffix}")
    assert outcome.status == "done", outcome
    large = read_image(folder / f"b{suffix}")
    assert large.pixels.dtype == picture.pixels.dtype
    np.testing.assert_array_equal(large.pixels, repeated(upright.pixels))
    if picture.alpha is None:
        assert large.alpha is None
    else:
        expected_alpha = repeated(upright.alpha)  # type: ignore[arg-type]
        np.testing.assert_allclose(large.alpha, expected_alpha, rtol=1e-6)  # exact for integers
    assert large.metadata.icc == picture.metadata.icc
    assert large.metadata.xmp == picture.metadata.xmp
    if picture.metadata.dpi is None:
        assert large.metadata.dpi is None
    else:
        expected = np.array(picture.metadata.dpi[::-1] if turned else picture.metadata.dpi) * 2
        assert large.metadata.dpi == pytest.approx(expected, abs=0.05)
    exif = Image.Exif()
    exif.load(large.metadata.exif or b"")
    assert exif.get(0x0112, 1) == 1
    assert exif[0x010F] == "maker"


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "L", "I;16"])
def test_modes_of_other_writers(tmp_path: Path, mode: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    image = Image.fromarray(values).convert(mode if mode != "I;16" else "L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 200)
    image.save(tmp_path / "a.tif")
    upscale_files(repeating(), [tmp_path / "a.tif"], tmp_path / "b.tif")
    large = read_image(tmp_path / "b.tif")
    target = {"I;16": "I;16", "1": "L", "L": "L"}.get(mode, "RGB")
    expected = np.asarray(image if mode == target else image.convert(target))
    assert large.is_grey == (expected.ndim == 2)
    np.testing.assert_array_equal(large.pixels.squeeze(), repeated(expected))


def test_half_transparent_colour_stays_and_no_fringe_appears(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    alpha = np.zeros((8, 8), np.uint8)
    pixels[:, :4], alpha[:, :4] = (204, 0, 0), 128
    write_image(Picture(pixels, alpha), tmp_path / "a.png")
    upscale_files(repeating(), [tmp_path / "a.png"], tmp_path / "b.png")
    large = read_image(tmp_path / "b.png")
    assert large.alpha is not None
    visible = large.pixels[large.alpha > 0]
    assert (visible == (204, 0, 0)).all()
    assert (large.alpha[:, :5] == 128).all()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_move_on(tmp_path: Path, suffix: str) -> None:
    frames = [
        Frame(Picture(np.full((6, 5, 3), level, np.uint8)), duration)
        for level, duration in ((0, 40.0), (255, 90.0), (0, 200.0))
    ]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encode_frames(frames, path, loop=3, quality=100))
    options = FileOptions(quality=100)
    upscale_files(repeating(), [tmp_path / f"a{suffix}"], tmp_path / f"b{suffix}", options)
    large = read_frames(tmp_path / f"b{suffix}")
    assert large is not None
    assert large.loop == 3
    read = list(large.frames)
    assert [frame.duration for frame in read] == [40, 90, 200]
    for frame, level in zip(read, (0, 255, 0), strict=True):
        assert frame.picture.size == (12, 10)
        assert (frame.picture.pixels == level).all()


def test_what_a_format_cannot_hold_is_told_before_the_work(tmp_path: Path) -> None:
    clear = Picture(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))
    write_image(clear, tmp_path / "clear.png")
    write_image(Picture(np.zeros((1, 9000, 3), np.uint8)), tmp_path / "wide.png")
    frames = [Frame(Picture(np.full((4, 4, 1), v, np.uint8)), 50) for v in (0, 9)]
    (tmp_path / "moving.gif").write_bytes(encode_frames(frames, "moving.gif"))
    upscaler = repeating()
    reasons = {
        ("clear.png", "a.jpg"): "cannot hold the transparency",
        ("wide.png", "a.webp"): "at most 16383",
        ("moving.gif", "a.jpg"): "holds no animation",
    }
    for (source, target), reason in reasons.items():
        (outcome,) = upscale_files(upscaler, [tmp_path / source], tmp_path / target)
        assert reason in outcome.sentence
        assert source in outcome.sentence
        assert not (tmp_path / target).exists()
    assert upscaler.network.calls == 0  # type: ignore[union-attr]


def test_a_run_continues_only_with_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_image(Picture(np.zeros((4, 4, 3), np.uint8)), tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "bad.png").write_text("no image")

    def statuses(options: FileOptions | None = None) -> list[str]:
        outcomes = upscale_files(repeating(), [tmp_path / "in"], tmp_path / "out", options)
        return [outcome.status for outcome in sorted(outcomes, key=lambda o: o.job.source)]

    assert statuses() == ["done", "done", "failed"]
    assert statuses() == ["skipped", "skipped", "failed"]
    assert statuses(FileOptions(strip=True)) == ["done", "done", "failed"]
    (tmp_path / "in" / "bad.png").unlink()
    assert statuses(FileOptions(strip=True)) == ["skipped", "skipped"]
    assert statuses(FileOptions(strip=True)) == ["done", "done"]  # a finished run left no journal
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_files_may_be_named_by_strings_and_come_one_by_one(tmp_path: Path) -> None:
    write_image(Picture(np.zeros((4, 4, 3), np.uint8)), tmp_path / "a.png")
    (outcome,) = upscale_files(repeating(), iter([str(tmp_path / "a.png")]), str(tmp_path / "out"))
    assert outcome.status == "done"
    (outcome,) = upscale_files(repeating(), str(tmp_path / "a.png"), tmp_path / "b.png")
    assert outcome.status == "done"
    with pytest.raises(OptionError, match="There is nothing to upscale"):
        upscale_files(repeating(), [], tmp_path / "out")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    write_image(Picture(pixels), tmp_path / "in" / "a.png")
    write_image(Picture(pixels), tmp_path / "in" / "sub" / "b.jpg")
    (tmp_path / "in" / "bad.png").write_text("no image at all\n")
    arguments = ["upscale", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--format", "webp"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--strip", "--report", str(tmp_path / "report.json")])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "bad.png: is no image that can be read (it looks like text)" in told
    assert "2 done, 0 skipped, 1 failed" in told
    assert "Traceback" not in told
    assert read_image(tmp_path / "out" / "sub" / "b.webp").size == (24, 20)
    summary = json.loads((tmp_path / "report.json").read_text())["summary"]
    assert summary == {"done": 2, "skipped": 0, "failed": 1}
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--skip-existing", "--exclude", "bad*"])
    assert ended.value.code == 0
    assert "0 done, 2 skipped, 0 failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("a.png", r"would replace .*a\.png"),
        ("linked.png", r"would replace .*a\.png"),
        ("big/a.png", r"would replace .*a\.png"),
        ("big", "is a folder of outputs"),
        (".", "is a folder; name a file"),
    ],
)
def test_a_report_replaces_nothing(tmp_path: Path, report: str, message: str) -> None:
    write_image(Picture(np.zeros((3, 4, 3), np.uint8)), tmp_path / "a.png")
    (tmp_path / "linked.png").hardlink_to(tmp_path / "a.png")
    upscaler = repeating()
    options = FileOptions(report=tmp_path / report)
    with pytest.raises(OptionError, match=message):
        upscale_files(upscaler, [tmp_path / "a.png"], tmp_path / "big" / "a.png", options)
    assert upscaler.network.calls == 0  # type: ignore[union-attr]
    assert read_image(tmp_path / "a.png").size == (3, 4)
    assert not (tmp_path / "big").exists()


def test_a_report_says_settings_in_values_of_json(tmp_path: Path) -> None:
    write_image(Picture(np.zeros((3, 4, 3), np.uint8)), tmp_path / "a.png")
    network = create_model("arm_fsrcnn", 4, pretrained=False)
    upscaler = Upscaler(network, fit=(90, np.int64(50)), budget="50%")
    options = FileOptions(report=tmp_path / "report.json", quality=90)
    upscale_files(upscaler, tmp_path / "a.png", tmp_path / "big.webp", options)
    said = json.loads((tmp_path / "report.json").read_text())["settings"]
    assert said["size"] == {"scale": None, "width": None, "height": None, "fit": [90, 50]}
    assert said["budget"] == {"kind": "share", "value": 0.5}
    assert (said["tile"], said["exact_passes"], said["self_ensemble"]) == ("auto", None, False)
    assert (said["quality"], said["strip"], said["calibration"]) == (90, False, {})


def test_a_journal_of_settings_as_they_were_once_written_is_started_anew(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write_image(Picture(np.zeros((3, 4, 3), np.uint8)), source / "a.png")
    touched = {"settings": {"sr_zoo": "0.1.0", "size": "Size(scale=None)", "strip": "False"}}
    output.mkdir()
    (output / NAME).write_text(f"{json.dumps(touched)}\n")
    (outcome,) = upscale_files(repeating(), source, output)
    assert outcome.status == "done"


def test_a_run_continues_whatever_sequence_a_box_was_given_as(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write_image(Picture(np.zeros((3, 4, 3), np.uint8)), source / "a.png")
    (source / "b.png").write_bytes(b"broken, so that a journal stays")
    for fit, status in (((9, 9), "done"), ([9, 9], "skipped"), ((8, 8), "done")):
        outcomes = upscale_files(Upscaler("nearest", fit=fit), source, output)
        assert [outcome.status for outcome in outcomes] == [status, "failed"]


def test_a_reports_folder_is_made_before_the_work(tmp_path: Path) -> None:
    write_image(Picture(np.zeros((3, 4, 3), np.uint8)), tmp_path / "a.png")
    options = FileOptions(report=tmp_path / "reports" / "today.json")
    upscale_files(repeating(), [tmp_path / "a.png"], tmp_path / "b.png", options)
    assert json.loads((tmp_path / "reports" / "today.json").read_text())["summary"]["done"] == 1
    upscaler = repeating()
    options = FileOptions(report=tmp_path / "a.png" / "report.json")
    with pytest.raises(ImageWriteError, match="the folder cannot be made"):
        upscale_files(upscaler, [tmp_path / "a.png"], tmp_path / "c.png", options)
    assert upscaler.network.calls == 0  # type: ignore[union-attr]


def test_each_file_is_read_once(tmp_path, monkeypatch):
    write_image(Picture(np.zeros((3, 4, 3), np.uint8)), tmp_path / "a.png")
    opened = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or read_bytes(path))
    upscale_files(Upscaler("nearest", 2), [tmp_path / "a.png"], tmp_path / "b.png")
    assert opened.count(tmp_path / "a.png") == 1
