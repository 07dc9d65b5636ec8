"""Timing networks side by side, and what to use by it."""

import json

import pytest
import torch

import sr_zoo
from sr_zoo.cli import main
from sr_zoo.errors import OptionError
from sr_zoo.evaluation import speed
from sr_zoo.inference.timing import Timed


@pytest.fixture
def network():
    return sr_zoo.create_model("fsrcnn", 2, pretrained=False)


def test_contenders_take_turns(network):
    order = []

    def runner(name):
        return lambda image: order.append(name) or image

    sides = [speed.Contender(name, name, 2, "-", "float32", runner(name)) for name in "ab"]
    timings = speed.race(sides, [(8, 6)], rounds=3)
    assert order == ["a", "b"] * 4  # the first turn does not count
    assert [(t.label, t.width, t.height) for t in timings] == [("a", 8, 6), ("b", 8, 6)]


def test_a_table_gives_ratios_to_its_first_row(network):
    slow = speed.Timing("slow", "a", 4, "torch", "float32", 8, 6, 2.0, 0.1, 4.0, None, None, None)
    fast = speed.Timing("fast", "a", 4, "other", "float32", 8, 6, 1.0, 0.1, 1.0, 10, 20, 0.5)
    lines = speed.table([slow, fast], "slow").splitlines()
    assert lines[2] == "| slow, 8x6 | 1.00 | 4000 ms | 2000 (100) ms | - |"
    assert lines[3] == "| fast, 8x6 | 4.00 | 1000 ms | 1000 (100) ms | 50% |"


def test_a_table_compares_equals():
    def timed(scale, side, seconds):
        facts = (f"a x{scale}", "a", scale, "torch", "float32", side, side)
        return speed.Timing(*facts, seconds, 0.0, seconds, None, None, None)

    timings = [timed(4, 8, 4.0), timed(2, 8, 1.0), timed(4, 16, 9.0), timed(2, 16, 3.0)]
    rows = speed.table(timings, "a x4").splitlines()[2:]
    assert [row.split(" | ")[:2] for row in rows] == [
        [f"| a x{scale}, {side}x{side}", "1.00"] for side in (8, 16) for scale in (4, 2)
    ]


def test_the_ceiling_is_that_of_the_faster_library(network, monkeypatch):
    def took(function, *_):
        return Timed(None, 2.0, 2.0 if function is torch.mm else 1.0)

    monkeypatch.setattr(speed, "timed", took)
    side = speed.Contender("a", "a", 2, "-", "float32", torch.relu, network, timed=took)
    (timing,) = speed.race([side], [(8, 6)], rounds=1)
    assert timing.ceiling == pytest.approx(timing.macs / speed.CEILING_SIDE**3)


def test_auto_goes_by_comparisons_of_equals(tmp_path, monkeypatch):
    def timed(runtime, scale, side, seconds):
        facts = (f"a, {runtime}", "a", scale, runtime, "float32", side, side)
        return speed.Timing(*facts, seconds, 0.0, seconds, None, None, None)

    monkeypatch.setattr(speed, "SPEEDS", tmp_path / "speeds.json")
    speed.SPEEDS.write_text('{"b": {"float32": {"ncnn": 2.0}}}')
    timings = [
        *(timed("torch", 4, 8, 4.0), timed("openvino", 4, 8, 2.0), timed("compile", 4, 8, 1.0)),
        *(timed("torch", 2, 8, 9.0), timed("openvino", 2, 8, 3.0)),
        *(timed("torch", 4, 64, 100.0), timed("openvino", 4, 64, 40.0)),
    ]
    speed.update_speeds(timings)
    assert json.loads(speed.SPEEDS.read_text()) == {
        "a": {"float32": {"openvino": 2.0}},
        "b": {"float32": {"ncnn": 2.0}},
    }


def test_bench_writes_a_table_and_a_file_that_recommend_reads(tmp_path, capsys):
    arguments = ["rlfn_s.sr_zoo", "--size", "32x24", "16x16", "--rounds", "2", "-o", str(tmp_path)]
    with pytest.raises(SystemExit) as left:
        main(["bench", *arguments])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert "rlfn_s x4, torch, float32, 32x24" in printed
    assert "rlfn_s x4, torch, float32, 16x16" in printed
    timings = json.loads((tmp_path / "bench.json").read_text())["timings"]
    assert {t["model"] for t in timings} == {"rlfn_s"}
    assert all(t["macs"] > 0 and t["seconds"] > 0 and t["peak_memory"] > 0 for t in timings)
    assert (tmp_path / "bench.png").stat().st_size > 0
    best = sr_zoo.recommend(4, max_ms=1e6, bench=tmp_path / "bench.json")[0]
    assert best.weights.startswith("rlfn_s_x4.")


def test_bench_looks_at_its_folder_before_the_race(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sr_zoo.evaluation.speed.race", lambda *_, **__: pytest.fail("raced"))
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="1"):
        main(["bench", "rlfn_s", "--untrained", "-o", str(tmp_path / "file")])
    assert "file: the folder cannot be made" in capsys.readouterr().err


@pytest.fixture
def bench(tmp_path):
    """What was measured of one network at two sizes."""
    facts = {"model": "rlfn_s", "scale": 4, "runtime": "torch", "dtype": "float32"}
    timings = [
        {**facts, "width": 320, "height": 180, "cpu_seconds": 0.2},
        {**facts, "width": 16, "height": 16, "cpu_seconds": 0.001},
    ]
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"timings": timings}))
    return path


def test_a_wish_that_nothing_fulfils_is_told_with_what_comes_closest(bench):
    told = r"320x180 in at most 1 ms; the fastest is rlfn_s.* \(200 ms\)"
    with pytest.raises(OptionError, match=told):
        sr_zoo.recommend(4, max_ms=1, bench=bench)
    told = "320x180 in at most 1 ms and to at least 30 dB; the fastest"
    with pytest.raises(OptionError, match=told):
        sr_zoo.recommend(4, max_ms=1, min_psnr=30, bench=bench)
    with pytest.raises(OptionError, match="Nothing with known scores was measured at scale 3"):
        sr_zoo.recommend(3, bench=bench)


def test_advice_goes_by_one_size_of_image(bench):
    assert {(r.size, r.milliseconds) for r in sr_zoo.recommend(4, bench=bench)} == {
        ((320, 180), 200)
    }
    assert {(r.size, r.milliseconds) for r in sr_zoo.recommend(4, size=(16, 16), bench=bench)} == {
        ((16, 16), 1)
    }
    with pytest.raises(OptionError, match="8x8 was not measured at scale 4, but 16x16, 320x180"):
        sr_zoo.recommend(4, size=(8, 8), bench=bench)


def test_a_size_is_a_list_in_json(bench):
    assert sr_zoo.recommend(4, size=[16, 16], bench=bench)[0].size == (16, 16)


@pytest.mark.parametrize("size", ["320x180", 320, (320,), (320, 180.5), [[320], 180]])
def test_what_is_no_size_is_refused(bench, size):
    with pytest.raises(OptionError, match=r"size must be a width and a height such as \(320"):
        sr_zoo.recommend(4, size=size, bench=bench)


@pytest.mark.parametrize("wish", [{"scale": "4"}, {"max_ms": "30"}, {"min_psnr": [30]}])
def test_wishes_that_are_no_numbers_are_refused(bench, wish):
    with pytest.raises(OptionError, match=f"{next(iter(wish))} must be a number, got"):
        sr_zoo.recommend(**wish, bench=bench)


def test_advice_needs_a_file_of_timings(tmp_path):
    with pytest.raises(OptionError, match=r"absent.json cannot be read \(No such file"):
        sr_zoo.recommend(4, bench=str(tmp_path / "absent.json"))
    for content in ("{}", "[]", "text", '{"timings": [{"scale": 4}]}'):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(OptionError, match=r"other.json holds no timings; .* sr-zoo bench -o"):
            sr_zoo.recommend(4, bench=tmp_path / "other.json")


def test_the_package_brings_a_measurement():
    found = [(best.weights, best.runtime) for best in sr_zoo.recommend(4)]
    assert found == list(dict.fromkeys(found))  # one type, so each once
    for runtime in ("torch", "openvino"):
        assert ("seemore_t_x4.sr_zoo", runtime) in found


def test_a_size_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "rlfn_s.sr_zoo", "--size", "32"])
    assert "--size must be width x height such as 320x180, got '32'" in capsys.readouterr().err


def test_a_file_is_raced_at_its_own_scale(tmp_path, capsys):
    sr_zoo.create_model("espcn", 2, pretrained=False).save_pretrained(tmp_path / "mine")
    raced = ["bench", str(tmp_path / "mine"), "--size", "32x32", "--rounds", "1"]
    with pytest.raises(SystemExit, match="0"):
        main(raced)
    assert "espcn x2" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="1"):
        main([*raced, "--scale", "4"])
    assert "its scale is 2, not 4" in capsys.readouterr().err


def test_more_threads_than_cores_are_refused(capsys):
    # OpenMP takes room for all of them on the stack, and the process dies without a word
    with pytest.raises(SystemExit):
        main(["bench", "rlfn_s.sr_zoo", "--threads", "1000000"])
    assert "--threads" in capsys.readouterr().err


def test_a_network_built_by_hand_is_no_contender():
    from sr_zoo.models.fsrcnn import FSRCNN

    with pytest.raises(OptionError, match="built by hand"):
        speed.contender(FSRCNN(scale=2).eval())


def test_threads_and_machine_are_named():
    assert f"threads: {torch.get_num_threads()};" in speed.machine_line()
