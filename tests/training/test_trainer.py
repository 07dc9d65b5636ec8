import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

import sr_zoo
from sr_zoo.cli import main
from sr_zoo.errors import CheckpointError, DownloadError, OptionError, SRZooError, TrainingError
from sr_zoo.evaluation import imresize, psnr_y
from sr_zoo.training.distributed import Processes
from sr_zoo.training.optimise import build_optimizer, build_schedule
from sr_zoo.training.recipe import Optimizer, Recipe, Schedule
from sr_zoo.training.run import Run
from sr_zoo.training.state import load_state
from sr_zoo.training.trainer import profile, train
from sr_zoo.training.validation import Validation


def weights(folder):
    return sr_zoo.load_model(folder).state_dict()


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def log(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_a_run_leaves_network_state_recipe_and_log(tiny, held_out, tmp_path):
    recipe = tiny(data__val=[str(held_out)], validate_every=4)
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    network = sr_zoo.load_model(folder)
    assert (network.identity.name, network.scale) == ("rlfn_s", 2)
    assert sr_zoo.training.read_recipe(folder / "recipe.json") == recipe
    lines = log(folder)
    assert [line["iteration"] for line in lines] == ["2", "4", "6"]
    assert [bool(line["psnr_y"]) for line in lines] == [False, True, True]
    assert sr_zoo.load_model(folder / "best").scale == 2


def test_a_killed_run_goes_on_bit_for_bit(tiny, photos, tmp_path):
    recipe = tiny(iterations=12, optimizer__clip_norm=1.0)
    whole = train(recipe, output=tmp_path / "whole", quiet=True)
    (tmp_path / "recipe.json").write_text((whole / "recipe.json").read_text())
    slowed = (
        "import sys, time; from sr_zoo.training import run, trainer; step = run.Run.step\n"
        "def slow(*a): time.sleep(0.1); step(*a)\n"
        "run.Run.step = slow; trainer.train(sys.argv[1], output=sys.argv[2], quiet=True)"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", slowed, tmp_path / "recipe.json", killed])
    while not (killed / "state.pt").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()  # of one that has ended already, nothing
    assert process.wait() == -signal.SIGKILL
    assert 2 <= load_state(killed)["iteration"] < 12
    train(recipe, output=killed, quiet=True)
    assert log(killed) == log(whole)
    assert same(weights(killed), weights(whole))
    first, second = load_state(killed), load_state(whole)
    assert same(first["network"], second["network"])
    assert torch.equal(first["random"], second["random"])


def test_a_finished_run_is_not_repeated(tiny, tmp_path):
    folder = train(tiny(), output=tmp_path / "run", quiet=True)
    before = (folder / "state.pt").stat().st_mtime_ns
    train(tiny(save_every=3), output=folder, quiet=True)
    assert (folder / "state.pt").stat().st_mtime_ns == before


def test_a_finished_run_goes_on_when_it_shall_be_longer(tiny, tmp_path):
    folder = train(tiny(), output=tmp_path / "run", quiet=True)
    train(tiny(iterations=10), output=folder, quiet=True)
    assert load_state(folder)["iteration"] == 10
    assert [line["iteration"] for line in log(folder)] == ["2", "4", "6", "8", "10"]
    planned = log(train(tiny(iterations=10), output=tmp_path / "planned", quiet=True))
    rates = [float(line["lr"]) for line in log(folder)]
    assert rates[3:] == [float(line["lr"]) for line in planned[3:]]  # from the first new one on
    assert rates[-1] == min(rates)


def test_a_run_goes_on_where_its_images_lie_elsewhere(tiny, photos, tmp_path):
    folder = train(tiny(), output=tmp_path / "run", quiet=True)
    (tmp_path / "disk").mkdir()
    moved = photos.rename(tmp_path / "disk" / "photos")
    train(tiny(iterations=8, data__train=[str(moved)]), output=folder, quiet=True)
    assert load_state(folder)["iteration"] == 8
    renamed = moved.rename(tmp_path / "paintings")
    with pytest.raises(OptionError, match=r"data\.train = \['photos'\], not \['paintings'\]"):
        train(tiny(iterations=9, data__train=[str(renamed)]), output=folder, quiet=True)


def test_a_run_does_not_go_on_with_images_that_it_was_validated_on(tiny, photos, tmp_path):
    recipe = tiny(data__val=[str(photos / "more")], validate_every=100)
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    with pytest.raises(OptionError, match="a run that learns from 5 images, and now there are 6"):
        train(recipe.changed({"data.val": [], "iterations": 8}), output=folder, quiet=True)
    train(recipe.changed({"iterations": 8}), output=folder, quiet=True)


@pytest.mark.parametrize("stages", [[], [{}]])
@pytest.mark.parametrize("name", ["README.md", "model.safetensors", "log.csv", "recipe.json"])
def test_files_of_others_are_not_replaced(name, stages, tiny, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("of mine")
    with pytest.raises(OptionError, match=f"mine holds {name} of something else"):
        train(tiny(stages=stages), output=tmp_path / "mine", quiet=True)
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["of mine"]


def test_another_recipe_does_not_go_on_in_a_folder(tiny, tmp_path):
    folder = train(tiny(), output=tmp_path / "run", quiet=True)
    with pytest.raises(OptionError, match=r"holds a run with optimizer\.lr = 0\.0005, not 1\.0"):
        train(tiny(optimizer__lr=1), output=folder, quiet=True)
    (folder / "state.pt").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="is no state of a training run"):
        train(tiny(), output=folder, quiet=True)


@pytest.mark.parametrize("others", [{"params_ema": {"conv.weight": torch.ones(2)}}, [1], 7])
def test_states_of_other_tools_are_refused(tiny, tmp_path, others):
    (tmp_path / "run").mkdir()
    torch.save(others, tmp_path / "run" / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt is no state of a training run .*another"):
        train(tiny(), output=tmp_path / "run", quiet=True)


@pytest.mark.parametrize("name", ["network", "optimizer"])
def test_a_state_that_does_not_fit_the_network_is_refused(tiny, tmp_path, name):
    folder = train(tiny(), output=tmp_path / "run", quiet=True)
    state = load_state(folder)
    state[name] = {}
    torch.save(state, folder / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt does not fit .*another version"):
        train(tiny(iterations=8), output=folder, quiet=True)


@pytest.mark.parametrize("stages", [[], [{"model": "rlfn_s"}, {}]])
def test_interpolation_cannot_be_trained(tiny, tmp_path, stages):
    with pytest.raises(OptionError, match="bicubic has no weights to train"):
        train(
            tiny(model="bicubic", arguments={}, stages=stages), output=tmp_path / "run", quiet=True
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": [{"name": "contrastive", "arguments": {"channels": -1}}]},
        {"arguments": {"channels": -8}},
        {"start": "rlfn_s_x5"},
        {"distillation": {"teacher": "rlfn_s_x5"}},
        {"data__degradations": [{"name": "bicubic", "weight": 0.0}]},
        {"data__val": ["nowhere"]},
        {"output": "file/run"},
    ],
)
def test_what_cannot_be_followed_is_told_before_images_are_decoded(
    tiny, tmp_path, monkeypatch, changes
):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").touch()
    output = tmp_path / changes.get("output", "run")
    changes = {name: value for name, value in changes.items() if name != "output"}
    with pytest.raises(SRZooError):
        train(tiny(**changes), output=output, quiet=True)
    assert not list(tmp_path.glob("cache/training/*"))


# a plain network; one whose only buffer is the mean colour, with upsamplers that do not run
@pytest.mark.parametrize("changes", [{}, {"model": "carn_m", "arguments": {"channels": 8}}])
def test_two_processes_learn_what_one_does(tiny, tmp_path, changes):
    recipe = tiny(iterations=4, data__batch_size=8, **changes)
    alone = train(recipe, output=tmp_path / "alone", quiet=True)
    code = tmp_path / "both.py"
    code.write_text(
        "import sys; from sr_zoo.training.trainer import profile, train\n"
        "train(sys.argv[1], output=sys.argv[2], device='cpu', quiet=True)"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [code, alone / "recipe.json", tmp_path / "both"]
    subprocess.run([*torchrun, *arguments], check=True, capture_output=True)
    for one, two in zip(log(alone), log(tmp_path / "both"), strict=True):
        assert float(one["loss"]) == pytest.approx(float(two["loss"]), rel=1e-5)
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(tmp_path / "both")[name], tensor, atol=1e-5, rtol=1e-4)


def test_a_batch_must_be_shared_evenly(tiny, tmp_path):
    three = Processes(0, 3, torch.device("cpu"))
    with pytest.raises(OptionError, match="batch_size 4 cannot be shared by 3 processes"):
        Run(tiny(), tmp_path / "run", three)


def test_a_batch_holds_as_many_images_per_process_as_the_network_needs(tiny, tmp_path):
    recipe = tiny(model="dat_light", arguments={}, data__batch_size=2)
    two = Processes(0, 2, torch.device("cpu"))
    with pytest.raises(
        OptionError, match="is 1 per process; dat_light needs 2 or more, so at least 4"
    ):
        Run(recipe, tmp_path / "run", two)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_its_batch(tiny, tmp_path):
    recipe = tiny(optimizer__name="sgd", optimizer__lr=1e38, ema=0.0)
    with pytest.raises(TrainingError, match=r"is not finite at iteration 2 .*bad_batch_1_0"):
        train(recipe, output=tmp_path / "run", quiet=True)
    batch = torch.load(tmp_path / "run" / "bad_batch_1_0.pt", weights_only=True)
    assert batch["lr"].shape == (4, 3, 16, 16)
    assert not (tmp_path / "run" / "state.pt").exists()


def test_a_batch_that_finds_no_room_does_not_hide_why_the_run_stopped(tiny, tmp_path):
    recipe = tiny(optimizer__name="sgd", optimizer__lr=1e38, ema=0.0)
    (tmp_path / "run" / "bad_batch_1_0.pt").mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"is not finite at .*the batch could not be kept: "):
        train(recipe, output=tmp_path / "run", quiet=True)


def test_weights_that_are_no_numbers_are_not_saved(tiny, tmp_path):
    recipe = tiny(
        optimizer__lr=1e30, optimizer__weight_decay=1e30, optimizer__name="sgd", save_every=1
    )
    with pytest.raises(TrainingError, match="weight is not finite after iteration 1"):
        train(recipe, output=tmp_path / "run", quiet=True)


def test_a_full_disk_leaves_the_last_good_state(tiny, tmp_path, monkeypatch):
    whole = train(tiny(), output=tmp_path / "whole", quiet=True)
    flush, flushed = os.fsync, []

    def full_after_two_states(descriptor):
        size = os.fstat(descriptor).st_size
        flushed.append(size > 50_000)  # only states are that large
        if sum(flushed) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_after_two_states)
        with pytest.raises(TrainingError, match=r"No space left on device.*run the same command"):
            train(tiny(), output=tmp_path / "run", quiet=True)
    assert load_state(tmp_path / "run")["iteration"] == 4
    train(tiny(), output=tmp_path / "run", quiet=True)
    assert same(weights(tmp_path / "run"), weights(whole))


def test_bfloat16_and_no_average(tiny, tmp_path):
    folder = train(tiny(precision="bfloat16", ema=0.0), output=tmp_path / "run", quiet=True)
    assert same(weights(folder), load_state(folder)["network"])


def test_start_from_another_scale_keeps_all_but_the_upsampler(tiny, tmp_path):
    first = train(tiny(), output=tmp_path / "x2", quiet=True)
    frozen = {"optimizer__lr": 1e-12, "schedule__minimum": 0.0, "iterations": 1}
    second = train(tiny(scale=4, start=str(first), **frozen), output=tmp_path / "x4", quiet=True)
    old, new = weights(first), weights(second)
    for name in old:
        if not name.startswith("upsampler"):
            torch.testing.assert_close(old[name], new[name])
    with pytest.raises(CheckpointError, match=r"seemore_t_x4\.sr_zoo is no start for RLFN"):
        train(tiny(start="seemore_t_x4.sr_zoo"), output=tmp_path / "other", quiet=True)


def test_a_teacher_pulls_the_network_towards_its_answers(tiny, tmp_path):
    teacher = train(tiny(), output=tmp_path / "teacher", quiet=True)
    recipe = tiny(distillation={"teacher": str(teacher), "self_ensemble": True})
    folder = train(recipe, output=tmp_path / "student", quiet=True)
    for line in log(folder):
        total = float(line["loss_l1"]) + float(line["loss_teacher"])
        assert float(line["loss"]) == pytest.approx(total, rel=1e-6)
    with pytest.raises(OptionError, match="enlarges by 2, the network by 4"):
        train(
            tiny(scale=4, distillation={"teacher": str(teacher)}),
            output=tmp_path / "other",
            quiet=True,
        )


def test_stages_follow_one_another_and_are_not_repeated(tiny, tmp_path):
    """Curriculum: first x2 by L1, then x4 with its weights, then L2 at a lower rate."""
    stages = [
        {},
        {"scale": 4},
        {"scale": 4, "losses": [{"name": "l2"}], "optimizer.lr": 1e-4, "iterations": 2},
    ]
    recipe = tiny(stages=stages)
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    assert sr_zoo.load_model(folder).scale == 4
    assert same(weights(folder), weights(folder / "stage_3"))
    assert [len(log(folder / f"stage_{n}")) for n in (1, 2, 3)] == [3, 3, 1]
    assert "loss_l2" in log(folder / "stage_3")[0]
    before = [(folder / f"stage_{n}" / "state.pt").stat().st_mtime_ns for n in (1, 2, 3)]
    train(recipe, output=folder, quiet=True)
    after = [(folder / f"stage_{n}" / "state.pt").stat().st_mtime_ns for n in (1, 2, 3)]
    assert before == after
    with pytest.raises(OptionError, match=r"stages\[1\]: unknown key 'scael'"):
        tiny(stages=[{}, {"scael": 4}])


def test_stages_go_on_wherever_their_folder_lies(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tiny(stages=[{}, {}]), output="run", quiet=True)
    longer = tiny(stages=[{}, {"iterations": 8}])
    train(longer, output=tmp_path / "run", quiet=True)
    (tmp_path / "run").rename(tmp_path / "moved")
    train(tiny(stages=[{}, {"iterations": 10}]), output="moved", quiet=True)
    assert load_state(tmp_path / "moved" / "stage_2")["iteration"] == 10
    other = tiny(stages=[{"start": "rlfn_s_x4.sr_zoo"}, {}])
    with pytest.raises(OptionError, match="holds a run with start = None, not 'rlfn_s_x4"):
        train(other, output="moved", quiet=True)


def test_more_iterations_for_stages_that_have_ended_go_to_the_last(tiny, tmp_path, capsys):
    recipe = tiny(stages=[{}, {}], ema=0.0)
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    first, second = (load_state(folder / f"stage_{number}") for number in (1, 2))
    train(recipe.changed({"iterations": 10}), output=folder)
    assert "stage 1 stays as it is, with 6 iterations" in capsys.readouterr().out
    assert same(load_state(folder / "stage_1")["network"], first["network"])
    longer = load_state(folder / "stage_2")
    assert (longer["iteration"], second["iteration"]) == (10, 6)
    assert same(weights(folder), longer["network"])
    with pytest.raises(
        OptionError, match=r"stage_1 holds a run with optimizer\.lr = 0\.0005, not 1"
    ):
        train(recipe.changed({"optimizer.lr": 1.0}), output=folder, quiet=True)


def test_a_stage_that_is_to_be_repeated_takes_the_later_ones_with_it(tiny, tmp_path):
    folder = train(tiny(stages=[{}, {}, {}], iterations=2), output=tmp_path / "run", quiet=True)
    shutil.rmtree(folder / "stage_2")
    with pytest.raises(
        OptionError, match=r"stage_3, which starts from stage_2, and .* is not there"
    ):
        train(tiny(stages=[{}, {}, {}], iterations=2), output=folder, quiet=True)
    shutil.rmtree(folder / "stage_3")
    before = weights(folder)
    train(tiny(stages=[{}, {}, {}], iterations=3), output=folder, quiet=True)
    assert [load_state(folder / f"stage_{n}")["iteration"] for n in (1, 2, 3)] == [3, 3, 3]
    with pytest.raises(OptionError, match="run of 3 stages, and the recipe has 2"):
        train(tiny(stages=[{}, {}], iterations=3), output=folder, quiet=True)
    assert not same(weights(folder), before)


def test_a_run_with_stages_and_one_without_do_not_share_a_folder(tiny, tmp_path):
    alone = train(tiny(), output=tmp_path / "alone", quiet=True)
    staged = train(tiny(stages=[{}]), output=tmp_path / "staged", quiet=True)
    before = weights(alone), weights(staged)
    with pytest.raises(OptionError, match="alone holds a run without stages; name another"):
        train(tiny(stages=[{}]), output=alone, quiet=True)
    with pytest.raises(OptionError, match="staged holds a run of stages; name another"):
        train(tiny(seed=1), output=staged, quiet=True)
    assert same(weights(alone), before[0])
    assert same(weights(staged), before[1])


def test_what_a_later_stage_cannot_use_is_told_before_the_first(tiny, tmp_path):
    stages = [{}, {"losses": [{"name": "gan"}], "data.patch_size": 36}]
    with pytest.raises(OptionError, match="a multiple of 8, got 36"):
        train(tiny(stages=stages), output=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_two_runs_at_once_do_not_write_to_one_folder(tiny, tmp_path, monkeypatch):
    recipe, folder, refused = tiny(), tmp_path / "run", []

    def again(run, lr, hr, step=Run.step):
        with pytest.raises(OptionError, match="run: another process is training there; wait for"):
            train(recipe, output=folder, quiet=True)
        refused.append(run.iteration)
        step(run, lr, hr)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "step", again)
        train(recipe, output=folder, quiet=True)
    assert refused == list(range(6))
    train(recipe, output=folder, quiet=True)  # free again


def test_a_cache_that_cannot_be_written_is_named(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DownloadError, match="SR_ZOO_CACHE names another folder"):
        train(tiny(), output=tmp_path / "run", quiet=True)


def _interrupted(run, lr, hr, step=Run.step):
    step(run, lr, hr)
    if run.iteration == 3:
        signal.raise_signal(signal.SIGTERM)


def test_an_interrupted_run_saves_its_state(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "step", _interrupted)
    with pytest.raises(TrainingError, match="Stopped after iteration 3 of 6; the same command"):
        train(tiny(), output=tmp_path / "run", quiet=True)
    assert load_state(tmp_path / "run")["iteration"] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stages", [[], [{}, {}]])
def test_a_stop_in_the_last_iteration_is_none_of_the_next_stage(
    tiny, tmp_path, monkeypatch, number, stages
):
    def stopped(run, lr, hr, step=Run.step):
        step(run, lr, hr)
        if run.iteration == run.iterations:
            signal.raise_signal(number)

    recipe, folder = tiny(stages=stages), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Run, "step", stopped)
        with pytest.raises(
            TrainingError, match="Stopped after iteration 6 of 6, the last; the sam"
        ):
            train(recipe, output=folder, quiet=True)
    assert load_state(folder / "stage_1" if stages else folder)["iteration"] == 6
    assert not (folder / "stage_2").exists()
    train(recipe, output=folder, quiet=True)
    assert sr_zoo.load_model(folder).scale == 2


def test_muon_steps_a_convolution_along_an_orthogonal_matrix_as_far_as_adam_would():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(8, 8, 3)
    before = conv.weight.detach().clone()
    optimizer = build_optimizer(Optimizer("muon", 0.01), conv.parameters())
    conv(torch.rand(1, 8, 16, 16)).square().mean().backward()
    optimizer.step()
    taken = (before - conv.weight.detach()).flatten(1)
    assert _spread(conv.weight.grad.flatten(1)) > 50
    assert _spread(taken) < 1.1
    assert taken.square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.1)


def _spread(matrix):
    lengths = torch.linalg.svdvals(matrix)
    return lengths.max() / lengths.min()


def test_muon_goes_on_where_it_was_stopped(tiny, tmp_path, monkeypatch):
    recipe = tiny(optimizer__name="muon")
    whole = train(recipe, output=tmp_path / "whole", quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "step", _interrupted)
        with pytest.raises(TrainingError, match="Stopped after iteration 3"):
            train(recipe, output=tmp_path / "stopped", quiet=True)
    train(recipe, output=tmp_path / "stopped", quiet=True)
    assert same(weights(tmp_path / "stopped"), weights(whole))


def test_schedules():
    def rates(schedule, iterations=10):
        weight = torch.nn.Parameter(torch.zeros(()))
        optimizer = build_optimizer(Optimizer("sgd", 1.0), [weight])
        planned = build_schedule(schedule, optimizer, iterations)
        found = []
        for _ in range(iterations):
            found.append(planned.get_last_lr()[0])
            optimizer.step()
            planned.step()
        return found

    assert rates(Schedule("constant")) == [1.0] * 10
    steps = rates(Schedule("multistep", milestones=(0.5, 0.8), gamma=0.1))
    assert steps == pytest.approx([1.0] * 5 + [0.1] * 3 + [0.01] * 2)
    cosine = rates(Schedule("cosine", minimum=0.0))
    assert cosine[0] == 1
    assert cosine[5] == pytest.approx(0.5)
    assert cosine[9] == pytest.approx(0.0245, abs=1e-4)
    warm = rates(Schedule("cosine", minimum=0.0, warmup=5))
    assert warm[:3] == pytest.approx([0.01, 0.208, 0.406])
    assert max(warm) == warm[5] == pytest.approx(1)


def test_a_warm_up_longer_than_the_epochs_is_refused(tiny, tmp_path):
    recipe = tiny(iterations=None, epochs=2, schedule__warmup=4)
    with pytest.raises(OptionError, match="warmup must be less than the 4 iterations of the run"):
        train(recipe, output=tmp_path / "run", quiet=True)
    assert not list((tmp_path / "run").iterdir())
    assert "forward" in profile(tiny(iterations=90, schedule__warmup=60), iterations=1)


def test_validation_leaves_pictures_curves_and_events(tiny, held_out, tmp_path):
    recipe = tiny(data__val=[str(held_out)], validate_every=4)
    folder = train(recipe, output=tmp_path / "run", quiet=True, tensorboard=True)
    names = sorted(path.name for path in (folder / "samples").iterdir())
    assert names == ["eye_0000004.png", "eye_0000006.png"]
    with Image.open(folder / "samples" / names[0]) as picture:
        assert picture.size == (3 * 76, 76)  # bicubic, the network's, the original
    with Image.open(folder / "curve.png") as picture:
        assert picture.format == "PNG"
    assert len(list((folder / "tensorboard").iterdir())) == 1


def test_the_best_score_is_of_the_images_that_are_validated_on(tiny, held_out, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    Image.new("RGB", (40, 40), (4, 4, 4)).save(flat / "dark.png")
    recipe = tiny(data__val=[str(flat)], validate_every=3)
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    on_flat = load_state(folder)["best"]
    harder = recipe.changed({"data.val": [str(held_out)], "iterations": 12})
    train(harder, output=folder, quiet=True)
    validation = Validation([str(held_out)], 2)
    kept = load_state(folder)["best"]
    assert kept < on_flat
    assert kept == pytest.approx(validation.measure(sr_zoo.load_model(folder / "best"))["psnr_y"])
    later = [float(line["psnr_y"]) for line in log(folder)[4:] if line["psnr_y"]]
    assert kept >= max(later) - 1e-5


def test_the_best_score_outlives_a_move_of_its_images_and_a_run_without_them(
    tiny, held_out, tmp_path
):
    recipe = tiny(data__val=[str(held_out)])
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    state = load_state(folder)
    torch.save({**state, "best": 99.0}, folder / "state.pt")
    train(recipe.changed({"data.val": [], "iterations": 8}), output=folder, quiet=True)
    moved = held_out.rename(tmp_path / "moved")
    train(tiny(data__val=[str(moved)], iterations=10), output=folder, quiet=True)
    assert load_state(folder)["best"] == 99.0


def test_weights_to_start_from_are_the_first_candidate_for_the_best(tiny, held_out, tmp_path):
    first = train(tiny(iterations=40, ema=0.0), output=tmp_path / "first", quiet=True)
    spoilt = {"optimizer__lr": 10.0, "ema": 0.0, "validate_every": 3, "start": str(first)}
    recipe = tiny(data__val=[str(held_out)], **spoilt)
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    assert same(weights(folder / "best"), weights(first))
    start, *lines = log(folder)
    assert (start["iteration"], start["loss"]) == ("0", "")
    assert all(float(line["psnr_y"]) < float(start["psnr_y"]) for line in lines if line["psnr_y"])
    train(recipe.changed({"iterations": 9}), output=folder, quiet=True)
    assert [line["iteration"] for line in log(folder)] == ["0", "2", "3", "4", "6", "8", "9"]
    assert same(weights(folder / "best"), weights(first))


def test_a_stage_validates_what_it_starts_from(tiny, held_out, tmp_path):
    recipe = tiny(data__val=[str(held_out)], ema=0.0, stages=[{}, {"optimizer.lr": 10.0}])
    folder = train(recipe, output=tmp_path / "run", quiet=True)
    first, second = (log(folder / f"stage_{number}") for number in (1, 2))
    assert second[0]["iteration"] == "0"
    assert second[0]["psnr_y"] == first[-1]["psnr_y"]
    assert first[0]["iteration"] == "2"  # random weights are no candidate
    assert same(weights(folder / "stage_2" / "best"), weights(folder / "stage_1"))


def test_validations_come_when_they_are_due(tiny, held_out, tmp_path):
    recipe = tiny(data__val=[str(held_out)], validate_every=3)
    lines = log(train(recipe, output=tmp_path / "run", quiet=True))
    assert [line["iteration"] for line in lines] == ["2", "3", "4", "6"]
    assert [line["iteration"] for line in lines if line["psnr_y"]] == ["3", "6"]
    alone = log(train(tiny(validate_every=3), output=tmp_path / "alone", quiet=True))
    assert [line["iteration"] for line in alone] == ["2", "4", "6"]


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((14, 40, 3), np.uint8), r"bad\.png: 14x40 pixels are fewer than the 15x15 that"),
        (np.zeros((1, 40, 3), np.uint8), r"bad\.png has 1x40 pixels, too few"),
        (np.zeros((40, 40), np.uint16), r"bad\.png is stored as I;16"),
    ],
)
def test_images_to_validate_on_are_checked_first(tiny, held_out, tmp_path, pixels, message):
    Image.fromarray(pixels).save(held_out / "bad.png")
    with pytest.raises(
        OptionError, match=f"1 of the 2 images .* cannot be validated on: .*{message}"
    ):
        Run(tiny(data__val=[str(held_out)]), tmp_path / "run", Processes(0, 1, torch.device("cpu")))


def test_a_validation_that_fails_loses_no_work(tiny, held_out, tmp_path, monkeypatch):
    def without_the_image(run, lr, hr, step=Run.step):
        step(run, lr, hr)
        (held_out / "eye.png").unlink(missing_ok=True)

    recipe = tiny(data__val=[str(held_out)], validate_every=3, save_every=1000)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "step", without_the_image)
        with pytest.raises(SRZooError, match=r"eye\.png does not exist"):
            train(recipe, output=tmp_path / "run", quiet=True)
    assert load_state(tmp_path / "run")["iteration"] == 3
    train(tiny(), output=tmp_path / "run", quiet=True)
    assert [line["iteration"] for line in log(tmp_path / "run")] == ["2", "3", "4", "6"]


def test_a_validation_of_a_part_of_its_images_is_none(tiny, held_out, tmp_path, monkeypatch):
    """Its mean would be compared with those of all images."""
    shutil.copy(held_out / "eye.png", held_out / "other.png")
    validation = Validation([str(held_out)], 2)
    network = sr_zoo.create_model("nearest", 2)
    assert validation.measure(network)["psnr_y"] > 20
    (held_out / "other.png").unlink()
    with pytest.raises(TrainingError, match=r"validation failed: .*other\.png does not exist"):
        validation.measure(network)


def test_a_tiny_recipe_beats_bicubic_on_an_image_it_has_not_seen(photos, held_out, tmp_path):
    recipe = Recipe.from_mapping(
        {
            "model": "vdsr",
            "scale": 2,
            "arguments": {"num_layers": 4, "channels": 16},
            "iterations": 250,
            "ema": 0.98,
            "data": {
                "train": [str(photos)],
                "val": [str(held_out)],
                "patch_size": 48,
                "batch_size": 4,
            },
            "optimizer": {"lr": 2e-3},
        }
    )
    scores = log(train(recipe, output=tmp_path / "run", quiet=True))[-1]
    with Image.open(held_out / "eye.png") as image:
        hr = np.asarray(image.convert("RGB"))
    bicubic = psnr_y(imresize(imresize(hr, 0.5), 2), hr, shave=2)
    assert float(scores["psnr_y"]) > bicubic + 0.3


class TestCommandLine:
    def call(self, capsys, *arguments):
        code = 0
        try:
            main(["train", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    def flags(self, photos):
        small = ["--set", 'arguments={"channels": 8, "hidden": 8, "num_blocks": 1}']
        study = ["--scale", 2, "--epochs", 1, "--batch_size", 2, "--patch_size", 32]
        return ["rlfn_s", "--train_dir", photos, *study, *small]

    def test_the_studys_flags(self, capsys, photos, held_out, tmp_path):
        folder = tmp_path / "run"
        flags = self.flags(photos)
        code, out, _ = self.call(capsys, *flags, "--val_dir", held_out, "-o", folder)
        assert code == 0
        assert f"--model {folder}" in out
        assert [line["iteration"] for line in log(folder)] == ["3"]  # six images, two in a batch
        assert sr_zoo.upscale(held_out / "eye.png", 2, model=str(folder)).size == (152, 296)

    @pytest.fixture
    def chosen(self, monkeypatch, tmp_path):
        """Call the command with a recipe of a length of its own; return the recipe to be run."""
        (tmp_path / "long.toml").write_text(
            'model = "rlfn_s"\nstart = "rlfn_s_x4.sr_zoo"\niterations = 900\n'
            '[data]\nval = ["Set5"]\n[[stages]]\n[[stages]]\niterations = 300\nepochs = 7\n'
        )

        def call(*arguments):
            found = []
            monkeypatch.setattr(
                "sr_zoo.training.trainer.train", lambda recipe, **_: found.append(recipe)
            )
            with pytest.raises(SystemExit) as ended:
                main(["train", "--recipe", str(tmp_path / "long.toml"), *arguments])
            assert not ended.value.code
            return found[0]

        return call

    def test_a_length_given_counts_instead_of_the_recipes(self, chosen):
        for arguments in (["--epochs", "2"], ["--set", "epochs=2"]):
            recipe = chosen(*arguments)
            assert (recipe.epochs, recipe.iterations, recipe.stages) == (2, None, ({}, {}))
        for arguments in (["--iterations", "5"], ["--set", "iterations=5"]):
            recipe = chosen(*arguments, "--epochs", "2")
            assert (recipe.epochs, recipe.iterations, recipe.stages) == (2, 5, ({}, {}))
        recipe = chosen("--scale", "2")
        assert (recipe.iterations, recipe.stages) == (900, ({}, {"iterations": 300, "epochs": 7}))

    def test_settings_can_be_emptied(self, chosen):
        recipe = chosen("--set", "start=null", "data.val=[]", "iterations=null")
        assert (recipe.start, recipe.data.val, recipe.iterations) == (None, (), None)

    def test_tables_are_those_of_a_recipe_or_of_json(self, chosen):
        for table in ("{channels = 8, widths = [1, 2]}", '{"channels": 8, "widths": [1, 2]}'):
            recipe = chosen("--set", f"arguments={table}")
            assert recipe.arguments == {"channels": 8, "widths": [1, 2]}
        assert chosen("--set", "start={cut").start == "{cut"

    def test_profile_says_where_time_goes_and_writes_nothing(self, capsys, photos, tmp_path):
        code, out, _ = self.call(capsys, *self.flags(photos), "--profile", "-o", tmp_path / "run")
        assert code == 0
        names = [line.split()[0] for line in out.splitlines()]
        assert names == ["data", "forward", "losses", "backward", "update", "in"]
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["rlfn_s"], "nothing to train on: name a folder"),
            ([], "Name a model to train"),
            (["rlfm_s", "--train-dir", "."], "Did you mean 'rlfn_s'"),
            (["rlfn_s", "--set", "optimizer.lrr=1"], "Did you mean 'lr'"),
            (["rlfn_s", "--set", "stages=1", "--epochs", "2"], "stages must be a list, got 1"),
            (["rlfn_s", "--set", "optimizer.lr"], "--set takes path=value"),
            (["--recipe", "rlfn_s_x5"], "There is no recipe 'rlfn_s_x5'"),
        ],
    )
    def test_wrong_calls_end_in_one_sentence(self, capsys, arguments, message):
        code, _, err = self.call(capsys, *arguments)
        assert code == 1
        assert err.startswith("sr-zoo: ")
        assert len(err.strip().splitlines()) == 1
        assert message in err
