import csv
import errno
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import sr_zoo
from sr_zoo.errors import CheckpointError, OptionError, TrainingError
from sr_zoo.training.state import load_state
from sr_zoo.training.trainer import Run, train


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
        "import sys, time; from sr_zoo.training import trainer; step = trainer.Run.step\n"
        "def slow(*a): time.sleep(0.1); step(*a)\n"
        "trainer.Run.step = slow; trainer.train(sys.argv[1], output=sys.argv[2], quiet=True)"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", slowed, tmp_path / "recipe.json", killed])
    while not (killed / "state.pt").exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
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


def test_another_recipe_does_not_go_on_in_a_folder(tiny, tmp_path):
    folder = train(tiny(), output=tmp_path / "run", quiet=True)
    with pytest.raises(OptionError, match=r"holds a run with optimizer\.lr = 0\.0005, not 1\.0"):
        train(tiny(optimizer__lr=1), output=folder, quiet=True)
    (folder / "state.pt").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="is no state of a training run"):
        train(tiny(), output=folder, quiet=True)


def test_two_processes_learn_what_one_does(tiny, tmp_path):
    recipe = tiny(iterations=4, data__batch_size=8)
    alone = train(recipe, output=tmp_path / "alone", quiet=True)
    code = tmp_path / "both.py"
    code.write_text(
        "import sys; from sr_zoo.training.trainer import train\n"
        "train(sys.argv[1], output=sys.argv[2], device='cpu', quiet=True)"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [code, alone / "recipe.json", tmp_path / "both"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, *arguments], check=True, env=environment, capture_output=True)
    for one, two in zip(log(alone), log(tmp_path / "both"), strict=True):
        assert float(one["loss"]) == pytest.approx(float(two["loss"]), rel=1e-5)
    for name, tensor in weights(alone).items():
        torch.testing.assert_close(weights(tmp_path / "both")[name], tensor, atol=1e-5, rtol=1e-4)


def test_a_batch_must_be_shared_evenly(tiny, tmp_path):
    from sr_zoo.training.distributed import Processes

    three = Processes(0, 3, torch.device("cpu"))
    with pytest.raises(OptionError, match="batch_size 4 cannot be shared by 3 processes"):
        Run(tiny(), tmp_path / "run", three)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_its_batch(tiny, tmp_path):
    recipe = tiny(optimizer__name="sgd", optimizer__lr=1e38, ema=0.0)
    with pytest.raises(TrainingError, match=r"is not finite at iteration 2 .*bad_batch_1_0"):
        train(recipe, output=tmp_path / "run", quiet=True)
    batch = torch.load(tmp_path / "run" / "bad_batch_1_0.pt", weights_only=True)
    assert batch["lr"].shape == (4, 3, 16, 16)
    assert not (tmp_path / "run" / "state.pt").exists()


def test_weights_that_are_no_numbers_are_not_saved(tiny, tmp_path):
    recipe = tiny(optimizer__name="sgd", optimizer__lr=float("inf"), save_every=1)
    with pytest.raises(TrainingError, match="weight is not finite after iteration 1"):
        train(recipe, output=tmp_path / "run", quiet=True)


def test_a_full_disk_leaves_the_last_good_state(tiny, tmp_path, monkeypatch):
    whole = train(tiny(), output=tmp_path / "whole", quiet=True)
    flush, flushed = os.fsync, []

    def full_after_two_states(descriptor):
        size = os.fstat(descriptor).st_size
        flushed.append(size > 10_000)  # only states are that large
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
