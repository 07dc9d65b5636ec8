"""Strips give what the whole map does, and need less memory than it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import sr_zoo
from sr_zoo.blocks import (
    ComputedMap,
    NarrowingUpsampler,
    NearestUpsampler,
    PassingMap,
    ResizedMap,
    StagedUpsampler,
    global_mean,
    in_strips,
    pad_to_minimum,
    run_stages,
    strips,
)
from sr_zoo.inference.memory import PeakMemory


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr(strips, "STRIP_PIXELS", 1)


@pytest.mark.parametrize("height", [16, 17, 53])
@torch.inference_mode()
def test_strips_come_out_as_the_whole(narrow, height):
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 5, padding=2))
    shuffled = nn.Sequential(layers, nn.PixelShuffle(2)).to(memory_format=torch.channels_last)
    x = torch.rand(2, 3, height, 9)
    for run, scale in ((layers, 1), (shuffled, 2)):
        out = in_strips(run, x, reach=3, scale=scale)
        torch.testing.assert_close(out, run(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
@torch.inference_mode()
def test_stages_to_pixels_need_no_map_as_large_as_the_output(narrow, scale):
    upsampler = NarrowingUpsampler(4, 16, scale).to(memory_format=torch.channels_last)
    x = torch.rand(1, 4, 100, 9).contiguous(memory_format=torch.channels_last)
    with PeakMemory() as memory:
        out = upsampler(x)
    torch.testing.assert_close(out, nn.Sequential.forward(upsampler, x), atol=1e-6, rtol=0)
    assert memory.peak < 16 * x[:, :1].nbytes * scale**2


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@torch.inference_mode()
def test_stages_and_the_layers_after_them_come_out_as_the_whole(narrow, scale):
    upsampler, tail = StagedUpsampler(4, scale, act=nn.ReLU), nn.Conv2d(4, 3, 3, padding=1)
    for layer in (upsampler, tail):
        layer.to(memory_format=torch.channels_last)
    x = torch.rand(2, 4, 53, 9).contiguous(memory_format=torch.channels_last)
    out = run_stages(x, upsampler, tail, scale=scale)
    torch.testing.assert_close(out, tail(upsampler(x)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.inference_mode()
def test_pixels_that_are_repeated_and_convolved_come_out_as_the_whole(narrow, scale):
    upsampler = NearestUpsampler(4, scale).to(memory_format=torch.channels_last)
    x = torch.rand(2, 4, 53, 9).contiguous(memory_format=torch.channels_last)
    expected = nn.Sequential.forward(upsampler, x)
    torch.testing.assert_close(upsampler(x), expected, atol=1e-6, rtol=0)


@torch.inference_mode()
def test_several_maps_are_cut_alike(narrow):
    a, b = torch.rand(2, 1, 4, 40, 7)
    assert torch.equal(in_strips(torch.mul, a, b), a * b)


@torch.inference_mode()
def test_a_map_that_is_of_no_use_any_more_is_overwritten(narrow):
    a = torch.rand(1, 4, 40, 7)
    expected = 2 * a
    assert in_strips(lambda strip: 2 * strip, a, into=a) is a
    assert torch.equal(a, expected)


@pytest.mark.parametrize("height", [40, 53, 64])
@torch.inference_mode()
def test_a_map_can_be_overwritten_by_layers_that_see_the_rows_around(narrow, height):
    torch.manual_seed(0)
    layers = nn.Conv2d(4, 4, 7, padding=3)
    for form in (torch.contiguous_format, torch.channels_last):
        a = torch.rand(2, 4, height, 7).contiguous(memory_format=form)
        expected = layers(a)
        assert in_strips(layers, a, reach=3, into=a) is a
        torch.testing.assert_close(a, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("height", [32, 39, 53])
@torch.inference_mode()
def test_pooling_is_cut_between_its_windows(narrow, height):
    a = torch.rand(1, 4, height, 11)
    pool = nn.AvgPool2d(3, stride=3)
    assert torch.equal(in_strips(pool, a, shrink=3), pool(a))


@pytest.mark.parametrize("kept", [0, 1 << 20])
@torch.inference_mode()
def test_a_computed_map_is_what_its_layers_make(narrow, monkeypatch, kept):
    monkeypatch.setattr(strips, "KEPT_STRIPS", kept)
    torch.manual_seed(0)
    layers, a = nn.Conv2d(4, 4, 5, padding=2), torch.rand(2, 4, 53, 7)
    expected = layers(a)
    computed = ComputedMap(layers, a, reach=2)
    torch.testing.assert_close(global_mean(computed), expected.mean((-2, -1), keepdim=True))
    out = in_strips(torch.add, a, computed)
    torch.testing.assert_close(out, a + expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(computed.whole(), expected, atol=1e-6, rtol=0)


@torch.inference_mode()
def test_a_passing_map_is_let_go_of_behind_the_strip_that_is_read(narrow):
    layers, a = nn.Conv2d(4, 4, 5, padding=2), torch.rand(1, 4, 160, 64)
    expected = layers(a)
    passing = PassingMap(a)
    assert torch.equal(passing.whole(), a)
    out = in_strips(layers, passing, reach=2)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)
    assert passing.whole().shape[-2] <= 2 * strips.LEAST_ROWS


@torch.inference_mode()
def test_strips_that_find_no_room_say_so_as_torch_does(narrow, monkeypatch):
    def full(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(strips, "mmap", full)
    with pytest.raises(MemoryError, match="no memory for a strip of"):
        PassingMap(torch.rand(1, 4, 160, 64))


@torch.inference_mode()
def test_an_image_that_is_large_enough_is_not_copied():
    a = torch.rand(1, 3, 9, 9)
    assert pad_to_minimum(a, 9) is a
    assert pad_to_minimum(a, 10).shape[-2:] == (10, 10)


@torch.inference_mode()
def test_a_resized_map_comes_into_being_strip_by_strip(narrow):
    size = (97, 50)
    cells = torch.rand(2, 3, 14, 6)  # as windows of 15 pixels see them, one in every 6
    resized = ResizedMap(cells, size, window=15, stride=6)
    expected = F.interpolate(cells, size=size, mode="bilinear", align_corners=False)
    assert resized.shape == expected.shape
    torch.testing.assert_close(resized.whole(), expected, atol=1e-5, rtol=0)
    out = in_strips(torch.add, torch.zeros_like(expected), resized)
    assert torch.equal(out, resized.whole())


def test_training_runs_on_the_whole(narrow):
    heights = []

    def run(x):
        heights.append(x.shape[-2])
        return x

    in_strips(run, torch.rand(1, 3, 40, 7, requires_grad=True), reach=1)
    assert heights == [40]


@pytest.mark.parametrize("name", ["rlfn_s", "seemore_t"])
@torch.inference_mode()
def test_networks_need_less_memory_for_the_same_picture(name, monkeypatch):
    network = sr_zoo.create_model(name, 4, pretrained="sr_zoo")
    image = torch.rand(1, 3, 400, 16)

    def run(pixels):
        monkeypatch.setattr(strips, "STRIP_PIXELS", pixels)
        with PeakMemory() as memory:
            return network(image), memory.peak

    (whole, much), (cut, little) = run(1 << 20), run(1)
    torch.testing.assert_close(cut, whole, atol=1e-5, rtol=0)
    assert little < 0.7 * much
