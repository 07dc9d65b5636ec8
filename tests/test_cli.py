"""The command line as a user meets it: one process, its exit code, and what it prints."""

import json
import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sr_zoo
from sr_zoo.cli import COMMANDS, _imported, main
from sr_zoo.progress import unwatched
from sr_zoo.weights.manifest import Entry

PHOTO = Path(__file__).parents[1] / "examples" / "chelsea.png"


@pytest.fixture
def run(capsys):
    """Run the command line; return exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.png"
    with Image.open(PHOTO) as image:
        image.crop((0, 0, 20, 16)).save(path)
    return path


def opened(path: Path) -> tuple[str | None, tuple[int, int]]:
    with Image.open(path) as image:
        return image.format, image.size


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, int)


def test_upscale_one_file(run, small, tmp_path):
    code, _, _ = run("upscale", small, "-o", tmp_path / "big.png")
    assert code == 0
    assert opened(tmp_path / "big.png") == ("PNG", (80, 64))


def test_upscale_at_another_scale_into_another_format(run, small, tmp_path):
    code, _, _ = run("upscale", small, "-o", tmp_path / "big.jpg", "--scale", 2)
    assert code == 0
    assert opened(tmp_path / "big.jpg") == ("JPEG", (40, 32))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["--scale", "2.5"], (50, 40)),
        (["--scale", "8"], (160, 128)),
        (["--width", "70"], (70, 56)),
        (["--fit", "100x50"], (62, 50)),
    ],
)
def test_upscale_to_any_size(run, small, tmp_path, options, size):
    code, _, _ = run("upscale", small, "-o", tmp_path / "big.png", "--model", "nearest", *options)
    assert code == 0
    assert opened(tmp_path / "big.png") == ("PNG", size)


def test_upscale_a_folder_keeps_its_structure_and_names_what_failed(run, small, tmp_path):
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    for name in ("a.png", "inner/b.png"):
        (folder / name).write_bytes(small.read_bytes())
    (folder / "broken.png").write_bytes(small.read_bytes()[:200])
    code, _, err = run("upscale", folder, "-o", tmp_path / "big")
    assert code == 1
    assert "broken.png" in err
    written = sorted(
        str(p.relative_to(tmp_path / "big")) for p in (tmp_path / "big").rglob("*.png")
    )
    assert written == ["a.png", "inner/b.png"]


@pytest.mark.parametrize("watched", [True, False])
def test_a_bar_is_drawn_where_somebody_watches(small, tmp_path, monkeypatch, watched):
    (tmp_path / "other.png").write_bytes(small.read_bytes())
    (tmp_path / "broken.png").write_bytes(small.read_bytes()[:200])
    stream = StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: watched)
    monkeypatch.setattr(sys, "stderr", stream)
    options = ["-o", str(tmp_path / "big"), "--model", "nearest", "--exclude", "big/*"]
    with pytest.raises(SystemExit):
        main(["upscale", str(tmp_path), *options])
    said = stream.getvalue()
    assert ("\r" in said) is watched
    assert "2 done" in said
    assert len([line for line in said.splitlines() if "broken.png" in line]) == 1


def test_a_notebook_is_watched_though_it_is_no_terminal(monkeypatch):
    kind = type("OutStream", (StringIO,), {"__module__": "ipykernel.iostream"})
    monkeypatch.setattr(sys, "stderr", kind())
    assert not unwatched()
    monkeypatch.setattr(sys, "stderr", None)  # a program without a console
    assert unwatched()


def test_what_a_folder_holds_beside_images_is_named(run, small, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "clip.mp4", "IMG_1", "notes.txt", "z.txt", ".hidden"):
        (folder / name).write_bytes(small.read_bytes())
    code, _, err = run("upscale", folder, "-o", folder / "big", "--exclude", "z.*")
    assert code == 0
    assert "as 3 files are not named as images are: IMG_1, clip.mp4, notes.txt; a video" in err
    code, _, err = run("upscale", folder, "-o", folder / "big", "--include", "*.png")
    assert "left out" not in err


def test_two_inputs_of_one_name_are_refused(run, small, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "small.png").write_bytes(small.read_bytes())
    code, _, err = run("upscale", small, other / "small.png", "-o", tmp_path / "big")
    assert code == 1
    assert "would both be written" in err


def one_sentence(error: str) -> bool:
    lines = error.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("sr-zoo: ") and "Traceback" not in error


def test_missing_file(run, tmp_path):
    code, _, err = run("upscale", tmp_path / "none.png", "-o", tmp_path / "big.png")
    assert code == 1
    assert one_sentence(err)
    assert "none.png" in err


def test_text_file_that_is_called_png(run, tmp_path):
    (tmp_path / "text.png").write_text("hello")
    code, _, err = run("upscale", tmp_path / "text.png", "-o", tmp_path / "big.png")
    assert code == 1
    assert one_sentence(err)
    assert "text.png" in err


def test_truncated_png_leaves_an_existing_output_alone(run, small, tmp_path):
    output = tmp_path / "big.png"
    output.write_bytes(b"earlier result")
    small.write_bytes(small.read_bytes()[:-60])
    code, _, err = run("upscale", small, "-o", output)
    assert code == 1
    assert one_sentence(err)
    assert output.read_bytes() == b"earlier result"


@pytest.mark.skipif(os.geteuid() == 0, reason="the super-user may write everywhere")
def test_folder_that_may_not_be_written(run, small, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    code, _, err = run("upscale", small, "-o", locked / "big.png")
    assert code == 1
    assert one_sentence(err)


def test_output_below_a_file(run, small, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run("upscale", small, "-o", tmp_path / "file" / "big.png")
    assert code == 1
    assert one_sentence(err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "rlfm"], "Did you mean 'rlfn'"),
        (["--model", "rlfn_s_x4.srzoo"], "Did you mean 'rlfn_s_x4.sr_zoo'"),
        (["--model", "rlfn", "--scale", "99"], "at most 64, got 99"),
        (["--fit", "wide"], "--fit must be width x height such as 320x180, got 'wide'"),
        (["--fit", "90x90", "--width", "90"], "width and fit contradict each other"),
        (["--tile", "small"], "--tile must be auto, off or a number of pixels"),
        (["--device", "gpu"], "Unknown device 'gpu'"),
    ],
)
def test_wrong_options_end_in_one_sentence(run, small, tmp_path, options, message):
    code, _, err = run("upscale", small, "-o", tmp_path / "big.png", *options)
    assert code == 1
    assert one_sentence(err)
    assert message in err
    assert not (tmp_path / "big.png").exists()


def test_output_whose_ending_is_no_image_format(run, small, tmp_path):
    code, _, err = run("upscale", small, "-o", tmp_path / "big.pgn")
    assert code == 1
    assert one_sentence(err)
    assert "'.pgn', which is no image format" in err
    assert not (tmp_path / "big.pgn").exists()


def test_a_slash_makes_a_folder_of_any_name(run, small, tmp_path):
    code, _, err = run("upscale", small, "-o", f"{tmp_path}/out_v1.5/", "--model", "nearest")
    assert (code, err) == (0, "")
    assert opened(tmp_path / "out_v1.5" / "small.png") == ("PNG", (80, 64))


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["clip.mp4", "small.png"], "out", "clip.mp4 is a video, and one is upscaled at a time"),
        (["-"], "out", "/dev/stdin is what comes through a pipe"),
        (["small.png"], "-", "would write to a pipe"),
    ],
)
def test_what_is_no_file_or_not_alone_is_refused(
    run, small, tmp_path, monkeypatch, inputs, output, message
):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("upscale", *inputs, "-o", output)
    assert code == 1
    assert one_sentence(err)
    assert message in err
    assert list(tmp_path.iterdir()) == [small]


def test_help_is_shown_whatever_the_screen_can_show():
    arguments = [sys.executable, "-c", "from sr_zoo.cli import main; main(['upscale', '--help'])"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert "--skip-existing" in shown.stdout


def test_list(run):
    code, out, _ = run("list", "rlfn*", "--scale", 4)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["rlfn", "rlfn_ntire", "rlfn_s"]
    code, _, err = run("list", "nothing*")
    assert code == 1
    assert "No model fits" in err


def test_list_says_what_models_cost_at_the_scale_asked_for(run):
    _, out, _ = run("list", "rlfn")
    assert "543.7 K    29.90 GMACs x4" in out
    _, out, _ = run("list", "rlfn", "--scale", 2)
    assert "526.9 K   115.74 GMACs x2" in out
    _, out, _ = run("list", "rcan", "--scale", 2)  # without known weights
    assert "GMACs" not in out


def test_list_and_info_give_the_same_json(run):
    code, out, _ = run("list", "rlfn*", "--json")
    assert code == 0
    rlfn = json.loads(out)[0]
    assert rlfn == json.loads(run("info", "rlfn", "--json")[1])
    assert rlfn["costs"]["4"] == {"num_params": 543_740, "macs": 29_902_404_096}
    assert rlfn["paper"]["arxiv"] == "2205.07514"
    entries = sr_zoo.model_info("rlfn").weights
    assert tuple(map(Entry.from_json, rlfn["weights"])) == entries
    assert run("list", "nothing*", "--json")[:2] == (0, "[]\n")


@pytest.mark.parametrize("name", ["list", "info"])
def test_help_names_every_key_of_the_json(run, name):
    _, out, _ = run(name, "--help")
    words = set(re.findall(r"\w+", out))
    assert sr_zoo.model_info("rlfn").to_json().keys() <= words


def test_info_names_paper_weights_and_where_it_is_the_default(run):
    code, out, _ = run("info", "rlfn_s")
    assert run("info", "rlfn_s_x4.sr_zoo") == (code, out, "")
    assert code == 0
    assert "arXiv:2205.07514" in out
    assert "rlfn_s_x4.sr_zoo" in out
    assert "x4: 470.2 K parameters," in out
    assert "default at x2 (rlfn_s_x2.sr_zoo)" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_no_flag_has_an_inverse_that_changes_nothing(name):
    command = _imported(name)
    for inner in getattr(command, "commands", {name: command}).values():
        for option in inner.params:
            assert not option.secondary_opts or option.default is True, option.opts


@pytest.fixture
def complete(run, monkeypatch):
    """Return what bash offers for the last word of a line."""

    def offered(line: str) -> list[str]:
        monkeypatch.setenv("_SR_ZOO_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        code, out, err = run()
        assert (code, err) == (0, "")
        return out.split()

    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sr-zoo ex", ["export"]),
        ("sr-zoo upscale --self", ["--self-ensemble"]),
        ("sr-zoo weights ver", ["verify"]),
        ("sr-zoo info rlfn_n", ["rlfn_ntire", "rlfn_ntire_x4.official"]),
        ("sr-zoo upscale a.png --model arm_c", ["arm_carn", "arm_carn_x4.official"]),
        ("sr-zoo eval rlfn_s rlfn_ntire_", ["rlfn_ntire_x4.official"]),
        ("sr-zoo train rlfn_n", ["rlfn_ntire", "rlfn_ntire_x4.official"]),
        ("sr-zoo weights fetch rlfn_n", ["rlfn_ntire_x4.official"]),
        ("sr-zoo upscale pho", []),  # the shell completes files
    ],
)
def test_a_shell_completes_commands_options_and_models(complete, line, offered):
    assert complete(line) == offered


def test_completion_is_installed_for_the_program(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    environment["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"  # pytest runs in none
    command = [sys.executable, "-m", "sr_zoo", "--install-completion", "bash"]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    (script,) = (path for path in tmp_path.rglob("*") if "sr-zoo" in path.name)
    assert "_SR_ZOO_COMPLETE=complete_bash" in script.read_text()


@pytest.mark.parametrize("words", [[], ["upscale"], ["weights"], ["weights", "list"]])
def test_help_has_a_short_name(run, words):
    code, out, _ = run(*words, "-h")
    assert code == 0
    assert run(*words, "--help") == (code, out, "")


def test_help_imports_no_command():
    code = (
        "import sys\nfrom sr_zoo.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name in ('torch', 'numpy', 'sr_zoo.cli.upscale')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("sr_zoo ")


def test_the_program_runs_where_its_script_is_not_on_the_path():
    command = [sys.executable, "-m", "sr_zoo", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sr_zoo ")


def test_tiles_of_any_side_give_the_same_picture(run, small, tmp_path):
    exact = ("--runtime", "torch", "--dtype", "float32")
    run("upscale", small, "-o", tmp_path / "whole.png", "--tile", "off", *exact)
    run("upscale", small, "-o", tmp_path / "tiled.png", "--tile", "6", *exact)
    assert np.array_equal(pixels(tmp_path / "whole.png"), pixels(tmp_path / "tiled.png"))


@pytest.mark.parametrize(
    ("model", "budget", "level"),
    [("arm_fsrcnn", "50%", "width 56"), ("pcsr_fsrcnn", "k=0", "heavy"), ("smsr", "auto", "skip")],
)
def test_effort_paints_the_image_and_says_what_was_spent(
    run, small, tmp_path, model, budget, level
):
    scale = min(sr_zoo.model_info(model).scales)
    sr_zoo.create_model(model, scale, pretrained=False).save_pretrained(tmp_path / "net")
    out = tmp_path / "effort.png"
    options = ("--model", tmp_path / "net", "--scale", scale, "--budget", budget)
    code, printed, _ = run("effort", small, "-o", out, *options)
    assert code == 0
    kind, (width, height) = opened(out)
    assert (kind, width >= 20, height > 16) == ("PNG", True, True)
    assert "GMACs" in printed
    assert level in printed


def test_effort_takes_the_id_of_weights(run, small, tmp_path):
    code, printed, _ = run("effort", small, "--routing", "--model", "seemore_t_x4.sr_zoo")
    assert code == 0
    assert "%" in printed


def test_effort_takes_no_other_scale_than_the_one_asked_for(run, small, tmp_path):
    code, _, err = run("effort", small, "-o", tmp_path / "e.png", "--scale", 7)
    assert code == 1
    assert "seemore_t is not defined at scale 7" in err


def test_effort_shows_and_counts_the_experts_of_seemore(run, small, tmp_path):
    code, printed, _ = run("effort", small, "-o", tmp_path / "effort.png")
    assert code == 0
    assert opened(tmp_path / "effort.png")[0] == "PNG"
    assert "rank" in printed
    for folder in ("a", "b/output"):  # with a file of the same name
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(small, tmp_path / folder / "same.png")
    code, _, error = run("effort", tmp_path / "a", "-o", tmp_path / "e.png")
    assert code == 1
    assert "paints one image" in error
    code, printed, _ = run("effort", tmp_path / "a", tmp_path / "b", "--routing")
    assert code == 0
    assert printed.splitlines()[0].startswith("block 1")
    assert "100.0%" in printed or "50.0%" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "bicubic", "-o", "e.png"), "spends the same everywhere"),
        (("--budget", "50%", "-o", "e.png"), "SeemoRe takes no budget"),
        (("--budget", "much", "-o", "e.png"), "Unknown budget 'much'"),
        ((), "give it, and -o FILE"),
        (("-o", "e.xyz"), "which is no image format known"),
        (("--model", "bicubic", "--routing"), "spends the same everywhere"),
    ],
)
def test_effort_that_cannot_be_shown_is_one_sentence(
    run, small, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    code, _, error = run("effort", small, *options)
    assert code == 1
    assert message in error
    assert len(error.splitlines()) == 1
    assert not Path("e.png").exists()
