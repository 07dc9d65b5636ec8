import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_zoo.errors import OptionError
from sr_zoo.evaluation import imresize
from sr_zoo.training.data import Patches, batches, open_images
from sr_zoo.training.recipe import Data
from sr_zoo.training.trainer import train


def patches(data, scale=2, *, seed=0):
    return Patches(open_images(data, scale), scale, data, seed)


def test_lr_patches_are_matlabs_and_lie_where_the_hr_patches_do(photos):
    data = Data(train=(str(photos),), patch_size=72, augment=False)
    with Image.open(photos / "0.png") as image:
        hr = np.asarray(image.convert("RGB"))
    found = [(lr, large) for lr, large in map(patches(data).__getitem__, range(6))]
    whole = torch.from_numpy(hr.copy()).permute(2, 0, 1) / 255
    (lr,) = [lr for lr, large in found if torch.equal(large, whole)]
    expected = torch.from_numpy(imresize(hr, 0.5)).permute(2, 0, 1) / 255
    assert torch.equal(lr, expected)


def test_cut_patches_match_their_reduction(photos):
    data = Data(train=(str(photos),), patch_size=48)
    cut = patches(data)
    for number in range(12):
        lr, hr = cut[number]
        reduced = imresize(hr, 0.5).clamp(0, 1)
        inner = (..., slice(4, -4), slice(4, -4))  # borders saw the image around the patch
        assert (lr[inner] - reduced[inner]).abs().max() < 2 / 255


def test_every_image_comes_once_in_a_pass_in_another_order(photos):
    cut = patches(Data(train=(str(photos),), patch_size=72, augment=False))
    passes = [[float(cut[turn * 6 + i][1].sum()) for i in range(6)] for turn in (0, 1)]
    assert sorted(passes[0]) == sorted(passes[1])
    assert len(set(passes[0])) == 6
    assert passes[0] != passes[1]


def test_patches_depend_on_their_number_alone(photos):
    data = Data(train=(str(photos),), patch_size=32, batch_size=4)
    whole = list(batches(patches(data), data, start=0, stop=4))
    later = list(batches(patches(data), data, start=2, stop=4))
    for (lr, hr), (lr2, hr2) in zip(whole[2:], later, strict=True):
        assert torch.equal(lr, lr2)
        assert torch.equal(hr, hr2)
    halves = [
        list(batches(patches(data), data, start=0, stop=4, rank=rank, world=2)) for rank in (0, 1)
    ]
    for (lr, _), (first, _), (second, _) in zip(whole, *halves, strict=True):
        assert torch.equal(lr, torch.cat((first, second)))
    assert not torch.equal(patches(data, seed=1)[0][0], patches(data)[0][0])


def test_workers_change_nothing(photos):
    data = Data(train=(str(photos),), patch_size=32, batch_size=4)
    alone = list(batches(patches(data), data, start=0, stop=3))
    helped = Data(train=(str(photos),), patch_size=32, batch_size=4, workers=2)
    for (lr, hr), (lr2, hr2) in zip(
        alone, batches(patches(helped), helped, start=0, stop=3), strict=True
    ):
        assert torch.equal(lr, lr2)
        assert torch.equal(hr, hr2)


def test_a_worker_that_is_not_forked_is_told_where_images_lie(photos):
    data = Data(train=(str(photos),), patch_size=32, batch_size=4)
    whole = patches(data)
    sent = pickle.dumps(whole)
    assert len(sent) < 5000  # bytes; the images have more than a hundred thousand
    received = pickle.loads(sent)
    assert all(torch.equal(a, b) for a, b in zip(received[0], whole[0], strict=True))


@pytest.fixture
def few_files_may_be_open():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_images_than_files_may_be_open(tmp_path, few_files_may_be_open):
    for number in range(80):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number:02}.png")
    data = Data(train=(str(tmp_path),), patch_size=8, sampler="equalised")
    images = open_images(data, 2)
    assert [image[0, 0, 0] for image in images.hr] == list(range(80))
    learnt = Patches(images, 2, data, 0, total=80)
    assert len({float(learnt[number][1].mean()) for number in range(80)}) > 1


def test_decoded_images_that_are_cut_off_are_decoded_anew(photos, tmp_path):
    data = Data(train=(str(photos),), patch_size=32)
    whole = open_images(data, 2, cache=tmp_path / "whole")
    cut = tmp_path / "cut"
    cut.mkdir()
    for kept in (tmp_path / "whole").glob("*.npy"):
        (cut / kept.name).write_bytes(kept.read_bytes()[:-100])
    again = open_images(data, 2, cache=cut)
    assert all(map(np.array_equal, whole.lr, again.lr))
    assert all(map(np.array_equal, whole.hr, again.hr))


def test_given_pairs_are_used_and_must_fit(photos, tmp_path):
    reduced = tmp_path / "reduced"
    (reduced / "more").mkdir(parents=True)
    for path in photos.rglob("*.png"):
        side = 35 if path.name == "1.png" else 36
        Image.new("RGB", (side, side), (255, 0, 0)).save(reduced / path.relative_to(photos))
    data = Data(train=(str(photos),), lr=(str(reduced),), patch_size=32)
    with pytest.warns(UserWarning, match=r"1\.png: 35x35 pixels do not belong to"):
        images = open_images(data, 2)
    assert len(images.lr) == 5
    assert images.lr[0][0, 0].tolist() == [255, 0, 0]
    with pytest.raises(OptionError, match="one folder for each of the 1 in"):
        open_images(Data(train=(str(photos),), lr=("a", "b")), 2)


def test_grey_transparent_and_16_bit_images_become_8_bit_rgb(tmp_path):
    Image.new("L", (40, 40), 7).save(tmp_path / "grey.png")
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((40, 40), 65535, np.uint16)).save(tmp_path / "deep.png")
    images = open_images(Data(train=(str(tmp_path),), patch_size=32), 2)
    assert [image[0, 0].tolist() for image in images.hr] == [[255] * 3, [255] * 3, [7] * 3]


def test_damaged_and_small_images_are_left_out_and_counted(photos):
    for number in range(6):
        (photos / f"broken{number}.png").write_bytes((photos / "0.png").read_bytes()[:300])
    Image.new("RGB", (20, 200)).save(photos / "small.png")
    with pytest.warns(UserWarning, match="left out") as warned:
        images = open_images(Data(train=(str(photos),), patch_size=32), 2)
    assert len(images.hr) == 6
    assert len(images.skipped) == 7
    assert "200x20 pixels are fewer than a patch of 32x32" in images.skipped[-1]
    assert str(warned[-1].message) == "left out of training: 7 files in all"


def test_a_link_to_nowhere_is_left_out(photos):
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    with pytest.warns(UserWarning, match=r"gone\.png: .*\(No such file"):
        images = open_images(Data(train=(str(photos),), patch_size=32), 2)
    assert len(images.hr) == 6
    assert len(images.skipped) == 1


def test_smaller_patches_are_advised_only_where_they_help(tmp_path):
    data = Data(train=(str(tmp_path),), patch_size=32)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with (
        pytest.raises(OptionError, match="None of the 1 images") as stopped,
        pytest.warns(UserWarning, match="left out"),
    ):
        open_images(data, 2)
    assert "smaller patch" not in str(stopped.value)
    Image.new("RGB", (20, 20)).save(tmp_path / "broken.png")
    with (
        pytest.raises(OptionError, match=r"20x20 pixels are fewer .* a smaller patch size"),
        pytest.warns(UserWarning, match="left out"),
    ):
        open_images(data, 2)


def test_what_runs_have_left_and_what_is_validated_on_is_not_trained_on(photos, tiny):
    """The run's folder, another run's, and the validation images lie inside the training folder."""
    held_out = (photos / "more").rename(photos / "held_out")
    changes = {"data__val": [str(held_out)], "validate_every": 2}
    for name in ("first", "runs/second"):
        recipe = tiny(**changes, stages=[{}, {}] if name == "first" else [])
        folder = train(recipe, output=photos / name, quiet=True)
        train(recipe.changed({"iterations": 8}), output=folder, quiet=True)
    assert len(list(photos.rglob("*.png"))) > 20
    images = open_images(recipe.data, 2)
    assert len(images.hr) == 5


def test_a_run_does_not_lie_among_its_training_images(photos, tiny):
    with pytest.raises(OptionError, match="is a folder of images to train on; name another"):
        train(tiny(), output=photos / "more" / "..", quiet=True)
    assert not (photos / "recipe.json").exists()


def test_folders_without_use(tmp_path, photos):
    with pytest.raises(OptionError, match="nothing to train on"):
        open_images(Data(), 2)
    with pytest.raises(OptionError, match="is no folder of images"):
        open_images(Data(train=(str(tmp_path / "none"),)), 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match=r"holds no images to train on; .* suffix: .*\.png"):
        open_images(Data(train=(str(tmp_path / "empty"),)), 2)
    for number in range(1, 6):
        next(photos.rglob(f"{'c' if number == 5 else number}.png")).unlink()
    with (
        pytest.raises(OptionError, match="None of the 1 images"),
        pytest.warns(UserWarning, match="fewer than a patch of 128x128"),
    ):
        open_images(Data(train=(str(photos),)), 2)


def test_the_equalised_sampler_looks_for_rare_texture(tmp_path):
    rng = np.random.default_rng(0)
    mostly_flat = np.full((128, 128, 3), 128, np.uint8)
    mostly_flat[:32, :32] = rng.integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(mostly_flat).save(tmp_path / "0.png")

    def textured(sampler):
        data = Data(train=(str(tmp_path),), patch_size=32, sampler=sampler)
        drawn = Patches(open_images(data, 2), 2, data, 0, total=10**6)
        return sum(bool(drawn[number][1].std() > 0) for number in range(200)) / 200

    assert textured("equalised") > 2 * textured("uniform")
