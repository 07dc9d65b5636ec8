"""Runs over folders: nothing lost, nothing done twice, one bad file never stops the rest."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sr_zoo.atomic import remove_leftovers, write_atomically, writing_atomically
from sr_zoo.errors import ImageReadError, ImageWriteError, OptionError
from sr_zoo.imaging import Picture, read_image, write_image
from sr_zoo.imaging.folder import Job, Selection, plan
from sr_zoo.imaging.journal import NAME, Journal
from sr_zoo.imaging.pipeline import Outcome, Pipeline, write_report

RUN = Path(__file__).with_name("folder_run.py")
MAX_IN_FLIGHT = 4  # files between the start of their processing and the note that they are finished


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def targets(jobs: list[Job], output: Path) -> list[str]:
    return [job.target.relative_to(output).as_posix() for job in jobs]


def picture() -> Picture:
    return Picture(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def identity() -> Pipeline[Picture, Picture]:
    return Pipeline(lambda job: read_image(job.source), lambda image, _: image, write_image)


def test_plan_mirrors_the_tree_and_leaves_out_what_is_no_image(tmp_path: Path) -> None:
    photos, output = tmp_path / "photos", tmp_path / "photos" / "big"
    touch(photos, "b.PNG", "a.jpg", "2024/c.tif", "2024/d.ppm", "notes.txt", ".x.png", ".y/z.png")
    touch(output, "a.jpg")
    everything = ["a.jpg", "b.PNG", "2024/c.tif", "2024/d.png"]
    assert targets(plan([photos], output), output) == everything
    flat = Selection(recursive=False)
    assert targets(plan([photos], output, selection=flat), output) == everything[:2]
    some = Selection(include=("2024/*", "*.jpg"), exclude=("*.ppm",))
    assert targets(plan([photos], output, selection=some), output) == ["a.jpg", "2024/c.tif"]
    one = Selection(include=("*.PNG", "*.jpg"), exclude=("A.*",))
    assert targets(plan([photos], output, selection=one), output) == ["b.PNG"]
    webp = ["a.webp", "b.webp", "2024/c.webp", "2024/d.webp"]
    assert targets(plan([photos], output, format="WebP"), output) == webp
    as_jpeg = targets(plan([photos / "a.jpg"], output, format="jpeg"), output)
    assert as_jpeg == ["a.jpg"]


def test_plan_of_one_file(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.png"
    assert plan([source], target) == [Job(source, target)]
    assert plan([source], tmp_path / "b") == [Job(source, tmp_path / "b" / "a.jpg")]


def test_plan_refuses_what_would_lose_something(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/a.png", "other/a.png", "texts/a.txt")
    with pytest.raises(OptionError, match=r"a\.jpg and .*a\.png would both be written"):
        plan([tmp_path / "in"], tmp_path / "out", format="webp")
    with pytest.raises(OptionError, match="would both be written"):
        plan([tmp_path / "in", tmp_path / "other"], tmp_path / "out")
    with pytest.raises(OptionError, match="is an input and would be replaced"):
        plan([tmp_path / "in"], tmp_path / "in")
    with pytest.raises(ImageReadError, match="holds no images"):
        plan([tmp_path / "texts"], tmp_path / "out")
    with pytest.raises(ImageWriteError, match="unknown image format 'xyz'"):
        plan([tmp_path / "in"], tmp_path / "out", format="xyz")
    with pytest.raises(OptionError, match=r"Several images go into a folder, and .*out\.png is"):
        plan([tmp_path / "in"], tmp_path / "out.png")
    with pytest.raises(ImageWriteError, match=r"does not end as jpg files do; name it b\.jpg"):
        plan([tmp_path / "in/a.png"], tmp_path / "b.png", format="jpg")


def test_a_file_is_known_by_all_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "photo.jpg", "a/x.png", "b/X.png")
    os.link(tmp_path / "photo.jpg", tmp_path / "PHOTO.JPG")
    with pytest.raises(OptionError, match="is an input and would be replaced"):
        plan([tmp_path / "photo.jpg"], tmp_path / "PHOTO.JPG")
    monkeypatch.setattr("sys.platform", "darwin")  # whose file systems ignore case
    with pytest.raises(OptionError, match=r"x\.png and .*X\.png would both be written"):
        plan([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_one_bad_file_never_stops_the_rest(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "c.png", "d.png"):
        write_image(picture(), source / name)
    touch(source, "b.png")

    def process(image: Picture, job: Job) -> Picture:
        if job.source.name == "c.png":
            raise RuntimeError("out of memory,\nprobably")
        return image

    pipeline = Pipeline(lambda job: read_image(job.source), process, write_image)
    outcomes = {o.job.source.name: o for o in pipeline.run(plan([source], output))}
    statuses = {name: outcome.status for name, outcome in outcomes.items()}
    assert statuses == {"a.png": "done", "b.png": "failed", "c.png": "failed", "d.png": "done"}
    assert "b.png: is no image" in str(outcomes["b.png"].reason)
    assert outcomes["c.png"].reason == "RuntimeError: out of memory, probably"
    assert sorted(path.name for path in output.iterdir()) == ["a.png", "d.png"]
    write_report(list(outcomes.values()), tmp_path / "report.json", {"scale": 4})
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["summary"] == {"done": 2, "skipped": 0, "failed": 2}
    assert report["settings"] == {"scale": 4}
    assert {file["source"]: file["status"] for file in report["files"]} == {
        str(source / name): status for name, status in statuses.items()
    }


def test_skip_existing(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "b.png"):
        write_image(picture(), source / name)
    touch(output, "a.png")
    outcomes = list(identity().run(plan([source], output), skip_existing=True))
    assert [outcome.status for outcome in outcomes] == ["skipped", "done"]
    assert (output / "a.png").read_bytes() == b"x"


def test_journal_forgets_what_changed(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        write_image(picture(), source / name)
    jobs = plan([source], output)

    def run(settings: dict[str, int]) -> list[str]:
        with Journal(output, settings) as journal:
            outcomes: list[Outcome] = list(identity().run(jobs, journal=journal))
        return [outcome.status for outcome in sorted(outcomes, key=lambda o: o.job.source)]

    assert run({"scale": 2}) == ["done"] * 3
    assert run({"scale": 2}) == ["skipped"] * 3
    touch(output, "a.png")
    write_image(Picture(picture().pixels[:2]), source / "b.png")
    assert run({"scale": 2}) == ["done", "done", "skipped"]
    with (output / NAME).open("a") as file:
        file.write('{"target": "cut')
    assert run({"scale": 2}) == ["skipped"] * 3
    assert run({"scale": 3}) == ["done"] * 3


def killed_runs(tmp_path: Path, files: int, kills: int) -> None:
    """Kill a run again and again, let it finish, and compare with one that nobody disturbed."""
    source, output, notes = tmp_path / "in", tmp_path / "out", tmp_path / "notes"
    generator = np.random.default_rng(0)
    for index in range(files):
        folder = source / f"{index % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 65536, (40, 40, 3)).astype(np.uint16)
        write_image(Picture(pixels), folder / f"{index:03}.png")
    moments = random.Random(0)
    happened = 0
    for _ in range(kills):
        run = subprocess.Popen([sys.executable, RUN, source, output, notes])
        started = len(notes.read_text().splitlines()) if notes.exists() else 0
        while run.poll() is None and not notes.exists():
            time.sleep(0.001)
        while run.poll() is None and len(notes.read_text().splitlines()) == started:
            time.sleep(0.001)
        time.sleep(moments.random() * 0.02)
        run.kill()
        happened += run.wait() < 0
        for path in output.rglob("*.png"):
            assert read_image(path).size == (80, 80)
    assert happened
    subprocess.run([sys.executable, RUN, source, output, notes], check=True)
    undisturbed = tmp_path / "undisturbed"
    subprocess.run([sys.executable, RUN, source, undisturbed, tmp_path / "other"], check=True)
    assert contents(output) == contents(undisturbed)
    times_done = Counter(notes.read_text().splitlines())
    assert len(times_done) == files
    assert times_done.total() <= files + kills * MAX_IN_FLIGHT


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_killed_runs_continue(tmp_path: Path) -> None:
    killed_runs(tmp_path, files=30, kills=3)


@pytest.mark.slow
def test_runs_killed_fifty_times_continue(tmp_path: Path) -> None:
    killed_runs(tmp_path, files=200, kills=50)


def test_leftovers_of_other_files_stay(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write_image(picture(), source / "a.png")
    jobs = plan([source], output)
    list(identity().run(jobs))
    mine, other = output / ".sr_zoo-own.part", output / ".sr_zoo-0123456789abcdef-1.part"
    touch(output, mine.name, other.name)
    list(identity().run(jobs))
    assert mine.exists()
    assert other.exists()


WRITE_FOR_LONG = """
import sys, time
from sr_zoo.atomic import writing_atomically
with writing_atomically(sys.argv[1]) as partial:
    print("begun", flush=True)
    time.sleep(60)
"""


def test_what_another_run_is_writing_stays_until_it_is_gone(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    command = [sys.executable, "-c", WRITE_FOR_LONG, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        (partial,) = tmp_path.glob("*.part")
        remove_leftovers([target])
        assert partial.exists()
        other.kill()
    remove_leftovers([target])
    assert not partial.exists()


def test_what_another_machine_began_stays_for_a_day(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    with writing_atomically(target) as own:
        stem, _, pid, token = own.name.rsplit("-", 3)
    partial = tmp_path / f"{stem}-01234567-{pid}-{token}"
    partial.touch()
    remove_leftovers([target])
    assert partial.exists()
    os.utime(partial, (0, 0))
    remove_leftovers([target])
    assert not partial.exists()


def test_links_stay_links(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.bin")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a.bin")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a.bin").read_bytes() == b"new"


def test_unwritable_output_folder(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    with pytest.raises(ImageWriteError, match="cannot be written to"):
        Journal(tmp_path / "file", {})
