"""What is no path is said to be none, wherever one is taken."""

import pytest
from thin import build_thin

import sr_zoo
from sr_zoo.errors import ImageReadError, OptionError
from sr_zoo.export import export_model
from sr_zoo.export.exporting import open_exported
from sr_zoo.imaging.read import read_image
from sr_zoo.inference.files import upscale_files
from sr_zoo.inference.video import upscale_video

ESPCN = build_thin("espcn", 2)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("checkpoint", lambda: sr_zoo.create_model("espcn", 2, checkpoint=5)),
        ("source", lambda: sr_zoo.load_model(5)),
        ("path", lambda: export_model(ESPCN, 5, to="onnx")),
        ("path", lambda: open_exported(5)),
        ("bench", lambda: sr_zoo.recommend(bench=5)),
        ("folder", lambda: sr_zoo.create_model("bicubic", 2).save_pretrained(5)),
        ("inputs", lambda: upscale_files(sr_zoo.Upscaler(ESPCN), 5, "out")),
        ("inputs", lambda: upscale_files(sr_zoo.Upscaler(ESPCN), [5], "out")),
        ("output", lambda: upscale_files(sr_zoo.Upscaler(ESPCN), "in.png", 5)),
        ("source", lambda: upscale_video(sr_zoo.Upscaler(ESPCN), 5, "out.mp4")),
        ("target", lambda: upscale_video(sr_zoo.Upscaler(ESPCN), "in.mp4", 5)),
    ],
)
def test_numbers_are_no_paths(name, call):
    with pytest.raises(OptionError, match=rf"^{name} must be a path, as text or .*, got 5$"):
        call()


def test_nothing_is_no_path():
    with pytest.raises(OptionError, match=r"^path must be a path, .*, got None$"):
        export_model(ESPCN, None, to="onnx")


def test_images_are_not_read_from_numbers():
    with pytest.raises(ImageReadError, match=r"from a path, bytes or an open file, got 5$"):
        read_image(5)
