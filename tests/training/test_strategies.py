"""Dynamic networks learn all that they can be, by recipes that run on a folder."""

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo.cli import main
from sr_zoo.dynamic import Budget
from sr_zoo.errors import OptionError
from sr_zoo.training.recipe import Recipe
from sr_zoo.training.run import Run
from sr_zoo.training.state import load_state
from sr_zoo.training.strategies import Strategy, build_strategy
from sr_zoo.training.trainer import train

THIN_ARM = {"channels": 12, "hidden": 6, "num_layers": 1, "widths": [4, 8, 12]}
THIN_PCSR = {"channels": 12, "heavy": [16, 16], "light": [4]}


@pytest.fixture
def recipe(photos):
    """Build a recipe that learns at x4 from the photos in seconds."""

    def build(model: str, **changes: object) -> Recipe:
        record = {
            "model": model,
            "arguments": THIN_ARM if model == "arm_fsrcnn" else THIN_PCSR,
            "iterations": 30,
            "log_every": 10,
            "ema": 0.0,
            "optimizer": {"lr": 3e-3},
            "data": {"train": [str(photos)], "patch_size": 32, "batch_size": 4},
        }
        return Recipe.from_mapping({**record, **changes})

    return build


def called(*words):
    """Run a command line that succeeds."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 0


def from_start(recipe, folder):
    """Return a run that has not learned yet."""
    from sr_zoo.training.distributed import Processes

    return Run(recipe, folder, Processes(0, 1, torch.device("cpu")), quiet=True)


@torch.inference_mode()
def errors(network, run, widths):
    """Return the mean absolute error of widths of a network on a batch of a run."""
    lr, hr = next(run.batches())
    return {width: float((network.at(width)(lr) - hr).abs().mean()) for width in widths}


@pytest.mark.parametrize("strategy", ["slimmable", "sandwich"])
def test_every_width_learns(recipe, tmp_path, strategy):
    run = from_start(recipe("arm_fsrcnn", strategy={"name": strategy}), tmp_path / "run")
    before = errors(run.learner.network, run, (4, 8, 12))
    run.finish()
    after = errors(run.learner.average, from_start(run.recipe, tmp_path / "other"), (4, 8, 12))
    assert all(after[width] < 0.9 * before[width] for width in before), (before, after)
    assert len({*after.values()}) == 3


def test_wide_networks_are_drawn_more_often():
    network = sr_zoo.create_model("arm_fsrcnn", 4, pretrained=False)
    strategy = build_strategy(
        Recipe("arm_fsrcnn").changed({"strategy.name": "slimmable"}).strategy, "arm_fsrcnn", network
    )
    odds = strategy.odds.tolist()
    assert odds == sorted(odds)
    assert sum(odds) == pytest.approx(1)
    ratio = network.macs_per_pixel(56) / network.macs_per_pixel(16)
    assert odds[2] / odds[0] == pytest.approx(ratio**2)


def test_a_sandwich_runs_both_ends_and_as_many_between_as_are_wanted():
    network = sr_zoo.create_model(
        "arm_fsrcnn", 4, pretrained=False, channels=16, widths=(2, 4, 8, 12, 16)
    )
    settings = {"strategy.name": "sandwich", "strategy.arguments": {"between": 2}}
    strategy = build_strategy(
        Recipe("arm_fsrcnn").changed(settings).strategy, "arm_fsrcnn", network
    )
    lr = torch.rand(1, 3, 8, 8)
    outputs, terms = strategy(lr)
    assert len(outputs) == 4
    assert not terms
    torch.testing.assert_close(outputs[0], network(lr))
    torch.testing.assert_close(outputs[1], network.at(2)(lr))


def test_a_sandwich_of_one_width_is_none():
    one = sr_zoo.create_model("arm_fsrcnn", 4, pretrained=False, channels=16, widths=(16,))
    settings = Recipe("arm_fsrcnn").changed({"strategy.name": "sandwich"}).strategy
    with pytest.raises(OptionError, match=r"two widths or more, .* got \[16\].*'slimmable'"):
        build_strategy(settings, "arm_fsrcnn", one)


def test_a_stopped_run_draws_the_same_widths(recipe, tmp_path):
    plan = recipe("arm_fsrcnn", strategy={"name": "slimmable"}, iterations=6)
    whole = train(plan, output=tmp_path / "whole", quiet=True)
    run = from_start(plan, tmp_path / "parts")
    for (lr, hr), _ in zip(run.batches(), range(3), strict=False):
        run.step(lr, hr)
    run.save()
    train(plan, output=tmp_path / "parts", quiet=True)
    first, second = (load_state(folder)["network"] for folder in (whole, tmp_path / "parts"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_pixels_of_both_kinds_learn_one_after_the_other(recipe, held_out, tmp_path):
    stages = [
        {"strategy": {"name": "heavy_pixels"}, "arguments.k": -25.0},
        {"strategy": {"name": "pixel_classes", "arguments": {"balance": 0.1}}, "iterations": 60},
    ]
    folder = train(recipe("pcsr_fsrcnn", stages=stages), output=tmp_path / "run", quiet=True)
    heavy, both = (sr_zoo.load_model(folder / f"stage_{n}").state_dict() for n in (1, 2))
    frozen = [name for name in heavy if name.startswith(("encoder", "heavy"))]
    assert all(torch.equal(heavy[name], both[name]) for name in frozen)
    changed = [name for name in heavy if not torch.equal(heavy[name], both[name])]
    assert {name.partition(".")[0] for name in changed} == {"light", "classifier"}
    network = sr_zoo.load_model(folder)
    assert network.k == 0
    with Image.open(next(held_out.glob("*"))) as photo:
        pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        classes = network.spend(pixels[..., ::2, ::2], Budget("auto")).maps["pixels"]
    assert 0.02 < classes.float().mean() < 0.98
    header = (folder / "stage_2" / "log.csv").read_text().splitlines()[0]
    assert "loss_balance" in header


@torch.no_grad()
def test_the_balance_term_weighs_how_far_from_half_the_classes_are():
    network = sr_zoo.create_model("pcsr_fsrcnn", 4, pretrained=False, **THIN_PCSR)
    settings = {"strategy.name": "pixel_classes", "strategy.arguments": {"balance": 2.0}}
    strategy = build_strategy(
        Recipe("pcsr_fsrcnn").changed(settings).strategy, "pcsr_fsrcnn", network
    )
    head = network.classifier.head
    head.weight.zero_()
    for bias, term in (((-20, 20), 2.0), ((0, 0), 0.0), ((20, -20), 2.0)):
        head.bias.copy_(torch.tensor(bias))
        assert strategy(torch.rand(1, 3, 8, 8))[1]["balance"] == pytest.approx(term, abs=1e-6)


def test_without_a_strategy_the_whole_network_runs():
    network = sr_zoo.create_model("arm_fsrcnn", 4, pretrained=False)
    lr = torch.rand(1, 3, 8, 8)
    (output,), terms = build_strategy(None, "arm_fsrcnn", network)(lr)
    assert not terms
    torch.testing.assert_close(output, network(lr))


@pytest.mark.parametrize(
    ("model", "strategy", "message"),
    [
        ("rlfn_s", {"name": "sandwich"}, "'sandwich' is for arm_carn, arm_fsrcnn, not for rlfn_s"),
        ("arm_carn", {"name": "pixel_classes"}, "is for pcsr_carn, pcsr_fsrcnn, not for arm_carn"),
        ("arm_carn", {"name": "sandwhich"}, "Unknown strategy 'sandwhich'.*sandwich"),
        (
            "arm_fsrcnn",
            {"name": "sandwich", "arguments": {"many": 2}},
            "strategy 'sandwich': .*many",
        ),
        ("arm_fsrcnn", {"name": "sandwich", "arguments": {"between": -1}}, "at least 0, got -1"),
    ],
)
def test_a_strategy_that_does_not_fit_is_refused_in_one_sentence(
    photos, tmp_path, model, strategy, message
):
    data = {"train": [str(photos)], "patch_size": 32}
    recipe = Recipe.from_mapping({"model": model, "strategy": strategy, "data": data})
    with pytest.raises(OptionError, match=message):
        train(recipe, output=tmp_path / "run", quiet=True)
    assert isinstance(
        build_strategy(None, model, sr_zoo.create_model(model, 4, pretrained=False)), Strategy
    )


def test_shipped_recipes_train_networks_that_route(photos, tmp_path, capsys):
    """By the commands of the documentation: train, calibrate, upscale within a budget."""
    arm, pcsr = tmp_path / "arm", tmp_path / "pcsr"
    short = ["--train-dir", photos, "--iterations", 2, "--patch-size", 32, "--batch-size", 2]
    for name, folder in (("arm_fsrcnn_x4", arm), ("pcsr_fsrcnn_x4", pcsr)):
        called("train", "--recipe", name, *short, "-o", folder)
    assert load_state(pcsr / "stage_2")["iteration"] == 2
    large = tmp_path / "large"
    large.mkdir()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (160, 160, 3)).astype(np.uint8)
    Image.fromarray(noise).save(large / "a.png")
    called("calibrate", arm, large, "-o", tmp_path / "able")
    able, table = (sr_zoo.load_model(tmp_path / "able"), sr_zoo.load_model(arm).table)
    assert able.table.largest != table.largest  # the authors', until it is measured
    for folder in (tmp_path / "able", pcsr):
        upscaler = sr_zoo.Upscaler(sr_zoo.load_model(folder), budget=0.7)
        assert upscaler(noise[:40, :40]).shape == (160, 160, 3)
        assert upscaler.report.macs <= 0.7 * upscaler.report.full_macs
    assert "sr-zoo upscale" in capsys.readouterr().out
