"""Budgets: what users write, what networks get, and what the report says."""

import numpy as np
import pytest
import torch
from PIL import Image
from thin import build_thin

import sr_zoo
from sr_zoo.dynamic import Budget
from sr_zoo.errors import OptionError
from sr_zoo.inference import huge
from sr_zoo.inference.budget import BudgetRunner
from sr_zoo.inference.files import upscale_files
from sr_zoo.visualize import effort, measure, open_rgb, routing_statistics

DYNAMIC = ("arm_carn", "arm_fsrcnn", "pcsr_carn", "pcsr_fsrcnn", "smsr")


def network_of(name):
    torch.manual_seed(0)
    return sr_zoo.create_model(name, min(sr_zoo.model_info(name).scales), pretrained=False)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0.5, Budget("share", 0.5)),
        ("50%", Budget("share", 0.5)),
        ("0.25", Budget("share", 0.25)),
        ("20 GMACs", Budget("gmacs", 20)),
        ("300 ms", Budget("ms", 300)),
        ("eta=1.3", Budget("eta", 1.3)),
        ("k=-0.4", Budget("k", -0.4)),
        ("auto", Budget("auto")),
    ],
)
def test_budgets_are_read_as_users_write_them(written, meant):
    assert Budget.parse(written) == meant


@pytest.mark.parametrize("wrong", ["fast", "12 miles", 0, 1.5, "150%", ""])
def test_what_is_no_budget_is_refused(wrong):
    with pytest.raises(OptionError, match="budget"):
        Budget.parse(wrong)


@pytest.mark.parametrize("name", DYNAMIC)
def test_a_share_of_the_multiply_adds_is_kept_and_reported(name):
    upscaler = sr_zoo.Upscaler(network_of(name), budget=0.75)
    image = torch.rand(1, 3, 40, 44)
    out = upscaler.tensor(image)
    factor = upscaler.network.scale
    assert out.shape == (1, 3, 40 * factor, 44 * factor)
    report = upscaler.report
    assert 0.4 < report.macs / report.full_macs <= 0.751
    assert sum(report.shares.values()) == pytest.approx(1)
    assert "GMACs" in str(report)
    assert "share" in sr_zoo.model_info(name).budgets


def test_multiply_adds_and_milliseconds_become_shares():
    network = network_of("arm_fsrcnn")
    full = network.costs(64, 64)[1]
    assert BudgetRunner(network, f"{full / 2e9:.6f} GMACs").resolve(64, 64).value == pytest.approx(
        0.5, abs=1e-3
    )
    runner = BudgetRunner(network, "1000000 ms")
    assert runner.resolve(64, 64) == Budget("share", 1.0)
    runner._times = [(0.2, 1e-6), (0.6, 3e-6), (1.0, 5e-6)]
    runner.budget = Budget("ms", 2e-6 * 1000)
    assert runner.resolve(1, 1).value == pytest.approx(0.4)
    runner.budget = Budget("ms", 0.5e-6 * 1000)
    with pytest.raises(OptionError, match="the cheapest mode takes"):
        runner.resolve(1, 1)


def test_tiles_get_equal_shares():
    upscaler = sr_zoo.Upscaler(network_of("pcsr_fsrcnn"), budget=0.6, tile=24)
    upscaler.tensor(torch.rand(1, 3, 40, 50))
    report = upscaler.report
    assert report.macs / report.full_macs == pytest.approx(0.6, abs=0.01)


def test_a_budget_is_for_one_run_of_the_network():
    network = network_of("pcsr_fsrcnn")
    for more in ({"self_ensemble": True}, {"alpha": "model"}):
        with pytest.raises(OptionError, match="A budget is for one run of the network"):
            sr_zoo.Upscaler(network, budget=0.5, **more)
    upscaler = sr_zoo.Upscaler(network, 16, budget=0.5)
    with pytest.raises(OptionError, match="an output of 128x128 pixels takes 2; ask for x4"):
        upscaler(torch.rand(3, 8, 8))


def test_strips_of_a_huge_image_keep_the_budget_of_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(huge, "STREAMED_PIXELS", 1000)
    monkeypatch.setattr(huge, "LARGEST_SIDE", 32)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    network = network_of("pcsr_fsrcnn")
    half = network.costs(60, 50)[1] / 2
    upscaler = sr_zoo.Upscaler(network, budget=f"{half / 1e9} GMACs")
    spent = set()
    for _ in range(2):  # what the first image took is no matter of the second's
        upscale_files(upscaler, [tmp_path / "a.png"], tmp_path / "b.png")
        assert upscaler.report.macs / upscaler.report.full_macs == pytest.approx(0.5, abs=0.05)
        spent.add(upscaler.report.macs)
    assert len(spent) == 1


def test_a_run_is_not_continued_with_another_budget(tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_text("no image")
    network = network_of("pcsr_fsrcnn")

    def first_status(budget):
        upscaler = sr_zoo.Upscaler(network, budget=budget)
        return upscale_files(upscaler, [tmp_path / "in"], tmp_path / "out")[0].status

    assert [first_status(budget) for budget in (0.5, 0.5, 1.0)] == ["done", "skipped", "done"]


def test_networks_that_always_compute_the_same_say_which_do_not():
    with pytest.raises(OptionError, match=r"RLFN always computes the same.*pcsr_carn"):
        sr_zoo.Upscaler(sr_zoo.create_model("rlfn_s", 4, pretrained=False), budget=0.5)
    with pytest.raises(OptionError, match=r"takes no budget of kind 'eta'; it takes .*k: "):
        sr_zoo.Upscaler(network_of("pcsr_fsrcnn"), budget="eta=1")
    upscaler = sr_zoo.Upscaler("seemore_t")
    with pytest.raises(OptionError, match="budget"):
        _ = upscaler.report
    assert sr_zoo.model_info("rlfn").budgets == {}


def test_a_budget_is_not_promised_by_a_runtime_that_keeps_none():
    network = network_of("pcsr_fsrcnn")
    assert sr_zoo.Upscaler(network, budget=0.5, runtime="torch").runtime == "torch"
    with pytest.raises(OptionError, match="kept in PyTorch, not by runtime='openvino'"):
        sr_zoo.Upscaler(network, budget=0.5, runtime="openvino")


@pytest.mark.parametrize("name", [*DYNAMIC, "seemore_t"])
def test_effort_is_painted_over_the_image(name):
    network = build_thin("seemore_t", 4).eval() if name == "seemore_t" else network_of(name)
    picture = Image.new("RGB", (72, 40), "gray")
    sheet = effort(network, picture, scale=4)
    panels = len(measure(network, torch.full((1, 3, 40, 72), 0.5)).maps)
    assert sheet.width >= min(panels, 3) * 72
    assert sheet.height == -(-panels // 3) * (40 + 16) + 16


def test_effort_is_that_of_the_image_whatever_its_depth(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    _, expected = open_rgb(Image.fromarray(grey))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert torch.equal(open_rgb(tmp_path / "deep.png")[1], expected)
    assert torch.equal(open_rgb(Image.fromarray(grey.astype(np.float32) / 255))[1], expected)


def test_effort_of_a_network_that_is_the_same_everywhere_is_refused():
    with pytest.raises(OptionError, match="spends the same everywhere"):
        effort(build_thin("rlfn", 4), Image.new("RGB", (8, 8)))


def test_experts_are_counted_over_a_folder(tmp_path):
    for index in range(3):
        Image.new("RGB", (40, 40), (80 * index, 10, 200)).save(tmp_path / f"{index}.png")
    network = build_thin("seemore_t", 4).eval()
    statistics = routing_statistics(network, sorted(tmp_path.iterdir()))
    assert len(statistics) == 6
    for shares in statistics.values():
        assert shares.sum().item() == pytest.approx(1)
    with pytest.raises(OptionError, match="at least one image"):
        routing_statistics(network, [])
