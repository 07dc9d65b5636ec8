"""What people think: a page that shows results blindly in pairs, and the means of ratings."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

from jinja2 import Environment, PackageLoader, select_autoescape
from PIL import Image

from sr_zoo.errors import ImageReadError, OptionError
from sr_zoo.evaluation.datasets import images_of, open_folder, read_rgb

FIELDS = ("rater", "image", "method", "score", "shown_with", "side", "time")
NORMAL_95 = 1.96  # standard errors in a 95 % interval
SCORES = range(1, 6)
ID_DIGITS = 16


@dataclass(frozen=True)
class Opinion:
    """What raters say of one method.

    Attributes:
        method: Name of its folder.
        mean: Mean opinion score, from 1 (bad) to 5 (excellent).
        interval: Half the width of the mean's 95 % interval; 0 for a single rating.
        ratings: How many there are.
    """

    method: str
    mean: float
    interval: float
    ratings: int


def rating_page(
    folders: Sequence[Path], *, reference: Path | None = None, seed: int | None = None
) -> str:
    """Return a page that asks for the quality of results, two at a time, from 1 to 5.

    Every two methods meet on every image, in random order and on random sides, and no name is
    shown. Ratings leave the page as a CSV file; unfinished ones stay in the browser.

    Args:
        folders: One per method, with the same image names.
        reference: Folder of the true images, shown above each pair.
        seed: Fixes the random order; None for another one each time.

    Raises:
        OptionError: There are less than two folders, one is missing, two have one name, or no
            image is in all.
        ImageReadError: An image is damaged.
    """
    methods = {folder.resolve().name: _results(folder) for folder in folders}
    if len(methods) < 2 or len(methods) < len(folders):
        raise OptionError(
            f"Rating compares two or more folders of different names, got "
            f"{', '.join(map(str, folders)) or 'none'}."
        )
    truth = {s.hr.stem: s.hr for s in open_folder(reference, 1).samples} if reference else {}
    names = sorted(set.intersection(*(set(images) for images in methods.values())))
    if reference:
        names = [name for name in names if name in truth]
    if not names:
        raise OptionError(
            f"No image is in all of {', '.join(map(str, (*folders, *filter(None, [reference]))))}; "
            "images belong together by their names."
        )
    chance = random.Random(seed)
    trials = []
    for name in names:
        for pair in combinations(methods, 2):
            sides = chance.sample(pair, 2)
            trials.append({"image": name, "methods": sides})
    chance.shuffle(trials)
    pictures = {
        name: {method: _png(images[name]) for method, images in methods.items()} for name in names
    }
    study = {
        "trials": trials,
        "pictures": pictures,
        "references": {name: _png(truth[name]) for name in names if name in truth},
    }
    # the browser keeps ratings by it, so that no other study goes on with them
    digest = hashlib.sha256(json.dumps(study).encode()).hexdigest()
    data = {**study, "fields": FIELDS, "id": digest[:ID_DIGITS]}
    environment = Environment(
        loader=PackageLoader("sr_zoo.evaluation", "templates"),
        autoescape=select_autoescape(default=True),
    )
    # base64 keeps the methods' names from the eyes of who looks at the page's source
    packed = base64.b64encode(json.dumps(data).encode()).decode()
    return environment.get_template("rating.html").render(data=packed)


def opinions(files: Sequence[Path]) -> list[Opinion]:
    """Return the mean opinion score of each method in files of ratings, the best first.

    Raises:
        ImageReadError: A file is missing.
        OptionError: A file is not one that the page wrote, or has no ratings.
    """
    scores: dict[str, list[int]] = {}
    for path in files:
        for method, score in _ratings(path):
            scores.setdefault(method, []).append(score)
    if not scores:
        raise OptionError(f"{', '.join(map(str, files))}: there are no ratings.")
    found = []
    for method, values in scores.items():
        error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
        found.append(Opinion(method, fmean(values), NORMAL_95 * error, len(values)))
    return sorted(found, key=lambda opinion: -opinion.mean)


def _ratings(path: Path) -> list[tuple[str, int]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            ratings = [(line["method"], int(line["score"])) for line in csv.DictReader(file)]
    except OSError as error:
        raise ImageReadError(f"{path} cannot be read: {error.strerror}.") from error
    except (csv.Error, KeyError, TypeError, ValueError):  # also of text in another encoding
        ratings = [("", 0)]
    if any(score not in SCORES for _, score in ratings):
        raise OptionError(
            f"{path} is no file of ratings: it needs the columns {', '.join(FIELDS)}, with scores "
            "from 1 to 5; save it as UTF-8."
        )
    return ratings


def _results(folder: Path) -> dict[str, Path]:
    """Return a method's images, which may bear the names of the LR images they were made from."""
    if not folder.is_dir():
        raise OptionError(f"{folder} is no folder. Name one folder of results per method.")
    return {path.stem: path for path in images_of(folder)}


def _png(path: Path) -> str:
    buffer = BytesIO()
    Image.fromarray(read_rgb(path)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
