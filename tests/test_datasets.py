import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sr_zoo.errors import DownloadError, ImageFormatError, ImageReadError, OptionError
from sr_zoo.evaluation.benchmarks import open_dataset, open_datasets
from sr_zoo.evaluation.datasets import open_folder, read_rgb
from sr_zoo.imaging import Picture, write_image


def save(path, height=24, width=36, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("HR/baby.png", "LR_bicubic/X4/babyx4.png"),
        ("GTmod12/baby.png", "LRbicx4/baby.png"),
        ("original/baby.png", "LR/baby.png"),
        ("Set5_HR/baby.png", "Set5_LR_x4/baby.png"),
        ("DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X4/0801x4.png"),
        ("image_SRF_4/img_001_SRF_4_HR.png", "image_SRF_4/img_001_SRF_4_LR.png"),
        ("HR/baby_HR_x4.png", "LR_bicubic/baby_LRBI_x4.png"),
        ("img_001_HR.png", "img_001_LR.png"),
        ("img_001_HR.png", "img_001_LR4.png"),
        ("baby_HR.png", "baby_LRx4.png"),
        ("baby.png", "babyx4.png"),
        ("gt/baby.png", "lq/baby.png"),
        ("HR/baby.png", "LR_4x/baby.png"),
        ("target/baby.png", "input/baby.png"),
    ],
)
def test_layouts_of_the_mirrors_are_recognised(tmp_path, hr, lr):
    save(tmp_path / hr)
    save(tmp_path / lr, 6, 9)
    save(tmp_path / "DIV2K_train_HR" / "0001.png")
    (sample,) = open_folder(tmp_path, 4).samples
    assert (sample.hr, sample.lr) == (tmp_path / hr, tmp_path / lr)
    assert sample.name in ("baby", "0801", "img_001")
    reduced, reference = sample.read()
    assert reduced.shape == (6, 9, 3)
    assert reference.shape == (24, 36, 3)


def test_lr_images_of_other_scales_are_not_taken(tmp_path):
    save(tmp_path / "HR/a.png")
    save(tmp_path / "LR_bicubic/X2/ax2.png", 12, 18)
    (sample,) = open_folder(tmp_path, 4).samples
    assert sample.lr is None


def test_a_plain_folder_is_reduced_here(tmp_path):
    save(tmp_path / "photo.jpg", 25, 38)
    (tmp_path / "notes.txt").write_text("no image")
    (sample,) = open_folder(tmp_path, 3).samples
    lr, hr = sample.read()
    assert lr.shape == (8, 12, 3)
    assert hr.shape == (24, 36, 3)


def test_hr_images_may_be_a_little_larger_than_lr_images(tmp_path):
    save(tmp_path / "HR/a.png", 27, 39)
    save(tmp_path / "LR/a.png", 6, 9)
    (sample,) = open_folder(tmp_path, 4).samples
    _, hr = sample.read()
    assert hr.shape == (24, 36, 3)
    np.testing.assert_array_equal(hr, read_rgb(tmp_path / "HR/a.png")[:24, :36])


@pytest.mark.parametrize("size", [(28, 36), (23, 36)])
def test_a_size_mismatch_beyond_cropping_is_named(tmp_path, size):
    save(tmp_path / "HR/a.png", *size)
    save(tmp_path / "LR/a.png", 6, 9)
    (sample,) = open_folder(tmp_path, 4).samples
    with pytest.raises(ImageFormatError, match=f"{size[0]}x{size[1]} pixels and .* 6x9"):
        sample.read()


def test_unpaired_files_are_named_and_the_rest_kept(tmp_path):
    save(tmp_path / "HR/a.png")
    save(tmp_path / "HR/b.png")
    save(tmp_path / "LR/a.png", 6, 9)
    save(tmp_path / "LR/c.png", 6, 9)
    found = open_folder(tmp_path, 4)
    assert [sample.name for sample in found.samples] == ["a"]
    assert len(found.problems) == 2
    assert "b.png left out: there is no LR image" in found.problems[0]
    assert "c.png left out: there is no HR image" in found.problems[1]


def test_lr_images_may_be_named_apart(tmp_path):
    save(tmp_path / "photos/a.png")
    save(tmp_path / "small/a.png", 6, 9)
    (sample,) = open_folder(tmp_path / "photos", 4, lr_folder=tmp_path / "small").samples
    assert sample.lr == tmp_path / "small/a.png"
    with pytest.raises(OptionError, match="one data set at one scale"):
        open_datasets([str(tmp_path)], [2, 4], lr_folder=tmp_path / "small")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(OptionError, match="has no HR images"):
        open_folder(tmp_path, 4)
    with pytest.raises(OptionError, match="is no folder"):
        open_folder(tmp_path / "absent", 4)


def test_a_folder_of_lr_images_alone_is_called_that(tmp_path):
    save(tmp_path / "img_001_SRF_4_LR.png")
    with pytest.raises(OptionError, match=r"all are named as LR images are, such as img_001_SRF_4"):
        open_folder(tmp_path, 4)


def test_damaged_images_are_refused(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ImageReadError, match="is no image"):
        read_rgb(tmp_path / "text.png")
    data = save(tmp_path / "cut.png", 64, 64).read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageReadError, match="damaged"):
        read_rgb(tmp_path / "cut.png")
    with pytest.raises(ImageReadError, match="does not exist"):
        read_rgb(tmp_path / "absent.png")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_deep_images_are_refused(tmp_path, suffix, channels):
    path = tmp_path / f"deep.{suffix}"
    if suffix == "ppm":
        path.write_bytes(b"P%d 4 4 65535\n" % (5 if channels == 1 else 6) + bytes(32 * channels))
    else:
        write_image(Picture(np.zeros((4, 4, channels), np.uint16)), path)
    with pytest.raises(ImageFormatError, match=r"stored as .*16.* 8-bit RGB and grey; convert it"):
        read_rgb(path)


def test_deep_planes_are_refused(tmp_path):
    path = tmp_path / "planes.tif"
    planes = np.zeros((3, 4, 4), np.uint16)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageFormatError, match=r"stored as RGB;16; .* 8-bit RGB and grey"):
        read_rgb(path)


def test_a_plain_text_bitmap_has_no_depth(tmp_path):
    (tmp_path / "bits.ppm").write_text("P1\n3 1\n1 0 1\n")
    assert read_rgb(tmp_path / "bits.ppm")[..., 0].tolist() == [[0, 255, 0]]


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("a.bmp", (16, 720), {}),  # rows of 2160 bytes
        ("a.tif", (12, 36), {"compression": "tiff_lzw"}),  # 1648 bytes in all
    ],
)
def test_a_files_other_numbers_are_not_taken_for_its_depth(tmp_path, name, size, options):
    pixels = np.random.RandomState(0).randint(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_rgb(tmp_path / name), pixels)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_grey_palette_and_alpha_become_rgb(tmp_path, mode):
    image = read_rgb(save(tmp_path / "a.png", mode=mode))
    assert image.shape == (24, 36, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("spelling", ["BSD100", "bsd100", "B100"])
def test_known_sets_are_found_in_any_spelling(tmp_path, spelling):
    save(tmp_path / "B100" / "HR" / "a.png")
    found = open_dataset(spelling, 4, folder=tmp_path)
    assert found.name == "BSD100"
    assert len(found.samples) == 1


def test_what_cannot_be_had_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    save(tmp_path / "Set5" / "HR" / "a.png")
    opened, problems = open_datasets(["Set5", "Set41", "Manga109", "Set14"], [4], folder=tmp_path)
    assert [found.name for found in opened] == ["Set5"]
    assert "Did you mean 'Set14'?" in problems[0]
    assert "manga109.org" in problems[1]
    assert "HF_HUB_OFFLINE" in problems[2]


@pytest.mark.parametrize("name", ["Set14", "DIV2K-val"])
def test_the_folder_that_images_can_be_put_into_instead_is_where_they_are_looked_for(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError) as refused:
        open_dataset(name, 4, folder=tmp_path)
    folder = re.search(r"put the images into (.*)\.", str(refused.value))[1]
    save(Path(folder) / "a.png")
    assert len(open_dataset(name, 4, folder=tmp_path).samples) == 1


def test_folders_of_one_name_are_told_apart_by_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "Set5/HR/a.png")
    save(tmp_path / "Set14/HR/b.png")
    save(tmp_path / "photos/c.png")
    opened, _ = open_datasets(["Set5/HR", "Set14/HR", "photos", "photos/"], [2, 4])
    assert [(found.name, found.scale) for found in opened] == [
        *(("Set5/HR", 2), ("Set5/HR", 4)),
        *(("Set14/HR", 2), ("Set14/HR", 4)),
        *(("photos", 2), ("photos", 4)),
    ]


def test_only_images_marked_as_originals_are_measured_on(tmp_path):
    """The collection of Huang et al. has other methods' results beside each image."""
    cropped = tmp_path / "image_SRF_4"
    for kind in ("HR", "LR", "bicubic", "A+", "SRCNN", "SelfExSR"):
        save(cropped / f"img_001_SRF_4_{kind}.png", *((6, 9) if kind == "LR" else ()))
    save(cropped / "photo.png")
    found = open_folder(tmp_path, 4)
    assert [sample.hr.name for sample in found.samples] == ["img_001_SRF_4_HR.png"]
    assert [sample.lr.name for sample in found.samples] == ["img_001_SRF_4_LR.png"]
    assert len(found.problems) == 1
    assert "photo.png left out: there is no LR image" in found.problems[0]


def test_what_is_left_out_beside_a_marked_image_is_named(tmp_path):
    for name in ("ford_GT.png", "ford_mustang.png", "fiat.png"):
        save(tmp_path / name)
    found = open_folder(tmp_path, 4)
    assert [sample.hr.name for sample in found.samples] == ["fiat.png", "ford_GT.png"]
    (problem,) = found.problems
    assert "ford_mustang.png left out: beside them is an image marked as the original" in problem


def test_a_folder_beside_hr_images_that_nothing_says_of_is_named(tmp_path):
    save(tmp_path / "HR/baby.png")
    save(tmp_path / "LR_bicubic/X2/babyx2.png", 12, 18)
    save(tmp_path / "LRx3/baby.png", 8, 12)
    save(tmp_path / "camera/baby.png", 6, 9)
    (problem,) = open_folder(tmp_path, 4).problems
    assert "camera is not used: its name does not say that it holds LR images" in problem


@pytest.mark.parametrize(("hr", "lr"), [("baby", "babyx2"), ("baby_HR", "baby_LR2")])
def test_lr_images_of_another_scale_beside_their_originals_are_not_taken(tmp_path, hr, lr):
    save(tmp_path / f"{hr}.png")
    save(tmp_path / f"{lr}.png", 12, 18)
    (sample,) = open_folder(tmp_path, 4).samples
    assert (sample.hr, sample.lr) == (tmp_path / f"{hr}.png", None)


def test_a_bicubic_image_is_no_original(tmp_path):
    save(tmp_path / "baby.png")
    save(tmp_path / "baby_bicubic.png")
    found = open_folder(tmp_path, 4)
    assert [sample.hr.name for sample in found.samples] == ["baby.png"]
    assert "baby_bicubic.png left out: another file is the same image" in found.problems[0]
