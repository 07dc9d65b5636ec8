import base64
import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_zoo.cli import main
from sr_zoo.errors import OptionError
from sr_zoo.evaluation.rating import FIELDS, opinions, rating_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def folders(tmp_path):
    """Three methods, told apart by colour, on two images."""
    for method, color in (("alpha", (200, 0, 0)), ("beta", (0, 200, 0)), ("gamma", (0, 0, 200))):
        (tmp_path / method).mkdir()
        for name in ("cat", "dog"):
            pixels = np.full((20, 30, 3), color, np.uint8)
            Image.fromarray(pixels).save(tmp_path / method / f"{name}.png")
    return [tmp_path / method for method in ("alpha", "beta", "gamma")]


def write_ratings(path, ratings):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval="-")
        writer.writeheader()
        writer.writerows({"method": method, "score": score} for method, score in ratings)
    return path


def page_data(page):
    return json.loads(base64.b64decode(re.search(r'id="data">([^<]+)<', page)[1]))


def test_page_is_self_contained_and_names_no_method(folders):
    page = rating_page(folders, seed=1)
    assert "http" not in page
    assert not any(method in page for method in ("alpha", "beta", "gamma"))


def test_order_is_random_unless_seeded(folders):
    assert rating_page(folders, seed=1) == rating_page(folders, seed=1)
    assert rating_page(folders) != rating_page(folders)


def test_studies_are_told_apart_though_they_have_one_seed(folders, tmp_path):
    """The browser keeps unfinished ratings under the page's id."""
    ids = {page_data(rating_page(folders, seed=1))["id"]}
    Image.new("RGB", (30, 20), "white").save(folders[0] / "cat.png")
    ids.add(page_data(rating_page(folders, seed=1))["id"])
    ids.add(page_data(rating_page(folders, seed=1, reference=folders[1]))["id"])
    ids.add(page_data(rating_page(folders[:2], seed=1))["id"])
    assert len(ids) == 4


def test_folders_must_fit_together(folders, tmp_path):
    with pytest.raises(OptionError, match="two or more folders of different names"):
        rating_page(folders[:1])
    (tmp_path / "delta").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "delta" / "bird.png")
    with pytest.raises(OptionError, match="epsilon is no folder"):
        rating_page([*folders, tmp_path / "epsilon"])
    with pytest.raises(OptionError, match="No image is in all of"):
        rating_page([*folders, tmp_path / "delta"])


def test_results_may_be_named_as_the_images_they_were_made_from(folders):
    for path in [path for folder in folders for path in folder.iterdir()]:
        path.rename(path.with_name(f"{path.stem}_LR.png"))
    pictures = page_data(rating_page(folders))["pictures"]
    assert sorted(pictures) == ["cat_LR", "dog_LR"]


def test_a_method_has_its_folders_own_name(folders, monkeypatch):
    monkeypatch.chdir(folders[0])
    pictures = page_data(rating_page([Path(), Path("../beta")]))["pictures"]
    assert list(pictures["cat"]) == ["alpha", "beta"]


def test_opinions_are_means_with_intervals(tmp_path):
    first = write_ratings(tmp_path / "a.csv", [("alpha", 4), ("beta", 2)])
    second = write_ratings(tmp_path / "b.csv", [("alpha", 2), ("beta", 2)])
    alpha, beta = opinions([first, second])
    assert (alpha.method, alpha.mean, alpha.ratings) == ("alpha", 3, 2)
    assert alpha.interval == pytest.approx(1.96)
    assert (beta.method, beta.mean, beta.interval) == ("beta", 2, 0)


@pytest.mark.parametrize("score", ["6", "x", ""])
def test_other_files_are_refused(tmp_path, score):
    with pytest.raises(OptionError, match="is no file of ratings"):
        opinions([write_ratings(tmp_path / "a.csv", [("alpha", score)])])


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_files_in_other_encodings_are_refused(tmp_path, encoding):
    path = write_ratings(tmp_path / "a.csv", [("ästhetisch", 4)])
    path.write_text(path.read_text(), encoding=encoding)
    with pytest.raises(OptionError, match=r"a.csv is no file of ratings: .*save it as UTF-8"):
        opinions([path])


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'"' + b"x" * 200_000)
    with pytest.raises(OptionError, match="is no file of ratings"):
        opinions([tmp_path / "a.csv"])


def test_command_reads_ratings(tmp_path, capsys):
    path = write_ratings(tmp_path / "a.csv", [("alpha", 4), ("alpha", 5)])
    with pytest.raises(SystemExit) as stop:
        main(["rate", str(path)])
    assert not stop.value.code
    assert "alpha  4.50 +- 0.98  (2 ratings)" in capsys.readouterr().out


def test_a_person_rates_in_a_browser(folders, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with pytest.raises(SystemExit):
        main(["rate", *map(str, folders), "-o", str(tmp_path / "page.html"), "--seed", "3"])
    scores = {"200,0,0": 5, "0,200,0": 3, "0,0,200": 1}
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        problems = []
        page.on("pageerror", lambda error: problems.append(error))
        page.goto((tmp_path / "page.html").as_uri())
        page.fill("#rater", 'Ann, "A"')
        page.click("#begin")
        for trial in range(6):
            assert page.inner_text("#position") == f"{trial + 1} of 6"
            assert page.is_disabled("#next")
            for side in (0, 1):
                color = page.evaluate(COLOR_OF, f"image-{side}")
                page.click(f"#scores-{side} label:nth-child({scores[color]})")
            page.click("#next")
            if trial == 2:  # closed and opened again
                page.reload()  # on a busy machine before the browser's store has the last words
                page.wait_for_function("localStorage.length > 0")
                page.reload()
                assert page.input_value("#rater") == 'Ann, "A"'
                page.click("#begin")
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(tmp_path / "ratings.csv")
        browser.close()
    assert not problems
    lines = list(csv.DictReader((tmp_path / "ratings.csv").read_text().splitlines()))
    assert len(lines) == 12
    assert {line["rater"] for line in lines} == {'Ann, "A"'}
    assert {line["shown_with"] for line in lines if line["method"] == "alpha"} == {"beta", "gamma"}
    means = {opinion.method: opinion.mean for opinion in opinions([tmp_path / "ratings.csv"])}
    assert means == {"alpha": 5, "beta": 3, "gamma": 1}


COLOR_OF = """async id => {
  const image = document.getElementById(id);
  await image.decode();
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(2, 2, 1, 1).data].slice(0, 3).join(",");
}"""
