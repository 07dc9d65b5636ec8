"""The field's test sets by name: found on this machine, or fetched and verified.

Set5, Set14, BSD100 and Urban100 come image by image from the collection that most papers took them
from (Huang et al., CVPR 2015), pinned to a commit; DIV2K's validation images come from its authors.
LR images are not fetched: `imresize` makes the same ones.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from tqdm import tqdm

from sr_zoo.errors import (
    DownloadError,
    OptionError,
    SRZooError,
    WeightsIntegrityError,
    did_you_mean,
)
from sr_zoo.evaluation.datasets import EvalSet, open_folder
from sr_zoo.progress import unwatched
from sr_zoo.weights.cache import cache_folder
from sr_zoo.weights.download import Remote, download, taking_turns

IMAGES = Path(__file__).with_name("benchmarks.json")
DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_valid_HR.zip"
DIV2K_SHA256 = "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"
DIV2K_LICENSE = "DIV2K (Agustsson and Timofte, CVPRW 2017), for academic research only"


@dataclass(frozen=True)
class Benchmark:
    """A test set that papers report.

    Attributes:
        name: As papers write it.
        aliases: Other names of its folder, lower case and without punctuation.
        download: Fetches it into a folder, for a scale; None where only a person can.
        instead: What to do where it cannot be fetched.
    """

    name: str
    aliases: tuple[str, ...]
    download: Callable[[Path, int], None] | None
    instead: str = ""


def data_folder() -> Path:
    """Return where data sets are kept: SR_ZOO_DATA, or a folder in the cache."""
    if named := os.environ.get("SR_ZOO_DATA"):
        return Path(named).expanduser()
    return cache_folder() / "datasets"


def open_datasets(
    names: Sequence[str],
    scales: Sequence[int],
    *,
    folder: Path | None = None,
    lr_folder: Path | None = None,
) -> tuple[list[EvalSet], list[str]]:
    """Open data sets at several scales.

    Args:
        names: Each a known data set or a folder of images.
        scales: Upscaling factors.
        folder: Where known data sets are kept and fetched to; None for `data_folder`.
        lr_folder: LR images of the only data set.

    Returns:
        The data sets, and a sentence for each that could not be had. Folders of one name are called
        by their paths as in `names`.

    Raises:
        OptionError: None could be had, for the reasons in the message.
    """
    if lr_folder is not None and (len(names) > 1 or len(scales) > 1):
        raise OptionError(
            f"{lr_folder} can hold the LR images of one data set at one scale; "
            f"got {len(names)} data sets and {len(scales)} scales."
        )
    opened, problems = [], []
    for name in dict.fromkeys(str(Path(name)) for name in names):
        for scale in scales:
            try:
                found = open_dataset(name, scale, folder=folder, lr_folder=lr_folder)
                opened.append((name, found))
            except SRZooError as error:
                problems.append(str(error))
    if not opened:
        raise OptionError("; ".join(dict.fromkeys(problems)) or "Name at least one data set.")
    return _distinct(opened), list(dict.fromkeys(problems))


def open_dataset(
    name: str, scale: int, *, folder: Path | None = None, lr_folder: Path | None = None
) -> EvalSet:
    """Open a folder of images, or a known data set, which is fetched where it is missing.

    Args:
        name: A folder, or the name of a data set in any spelling.
        scale: Upscaling factor.
        folder: Where known data sets are kept and fetched to; None for `data_folder`.
        lr_folder: Where the LR images are, if not where mirrors put them.

    Raises:
        OptionError: Neither a folder nor a known data set, or one without images.
        DownloadError: It has to be fetched and cannot be.
    """
    if Path(name).is_dir():
        return open_folder(Path(name), scale, lr_folder=lr_folder)
    benchmark = next((b for b in BENCHMARKS if _plain(name) in (_plain(b.name), *b.aliases)), None)
    if benchmark is None:
        known = [b.name for b in BENCHMARKS]
        raise OptionError(
            f"{name!r} is neither a folder nor a known data set.{did_you_mean(name, known)} "
            f"Known are {', '.join(known)}."
        )
    root = folder or data_folder()
    path = _find(benchmark, root)
    if benchmark.download is not None and not _has_images(path, scale):
        with taking_turns(sha256(os.fsencode(path.resolve())).hexdigest()):
            if not _has_images(path, scale):  # another process may have fetched it by now
                benchmark.download(path, scale)
    if not path.is_dir():
        raise OptionError(f"{benchmark.name} is not in {root}. {benchmark.instead}")
    return open_folder(path, scale, lr_folder=lr_folder, name=benchmark.name)


def _distinct(opened: Sequence[tuple[str, EvalSet]]) -> list[EvalSet]:
    """Return data sets by names of their own, which scores go by: as they were asked for."""
    asked_for = defaultdict(set)
    for asked, found in opened:
        asked_for[found.name].add(asked)
    return [
        replace(found, name=asked) if len(asked_for[found.name]) > 1 else found
        for asked, found in opened
    ]


def _find(benchmark: Benchmark, root: Path) -> Path:
    """Return the folder of a data set under any of its names, or where to make it."""
    names = (_plain(benchmark.name), *benchmark.aliases)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return next((path for path in folders if _plain(path.name) in names), root / benchmark.name)


def _has_images(path: Path, scale: int) -> bool:
    try:
        open_folder(path, scale)
    except OptionError:
        return False
    return True


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _collected(name: str) -> Callable[[Path, int], None]:
    """Return what fetches a data set image by image; a killed download goes on where it stopped."""

    def fetch_images(path: Path, scale: int) -> None:
        facts = json.loads(IMAGES.read_text(encoding="utf-8"))[name]
        # HR images cropped to multiples of 3 exist only for some; of 2, which suits 4 too, for all
        factor = 3 if scale % 3 == 0 and "3" in facts["sha256"] else 2
        _say_license(name, facts["license"])
        partial = path / f"image_SRF_{factor}.part"
        digests = facts["sha256"][str(factor)]
        bar = tqdm(digests, desc=name, unit="image", leave=False, disable=unwatched())
        for number, digest in enumerate(bar, 1):
            url = facts["url"].format(factor=factor, number=number)
            _fetch(url, partial / url.rpartition("/")[2], digest, instead=path)
        partial.rename(path / f"image_SRF_{factor}")

    return fetch_images


def _fetch(url: str, target: Path, sha256: str, *, instead: Path) -> None:
    advice = f"Unset HF_HUB_OFFLINE if it is set, or put the images into {instead}."
    try:
        download(Remote(url.rpartition("/")[2], url, sha256, advice=advice), target)
    except WeightsIntegrityError as error:
        raise DownloadError(str(error)) from error


def _div2k(path: Path, _scale: int) -> None:
    _say_license("DIV2K-val", DIV2K_LICENSE)
    archive = path / DIV2K_URL.rpartition("/")[2]
    _fetch(DIV2K_URL, archive, DIV2K_SHA256, instead=path)
    partial = path / "DIV2K_valid_HR.part"
    partial.mkdir(exist_ok=True)
    try:
        with ZipFile(archive) as files:
            for member in files.namelist():
                name = Path(member).name  # whatever folders the archive says
                if name.endswith(".png"):
                    (partial / name).write_bytes(files.read(member))
    except BadZipFile as error:
        raise DownloadError(f"{archive} is no ZIP archive ({error}); remove it.") from error
    partial.rename(path / "DIV2K_valid_HR")
    archive.unlink()


def _say_license(name: str, text: str) -> None:
    tqdm.write(f"Fetching {name}: {text}.", file=sys.stderr)


BENCHMARKS = (
    Benchmark("Set5", (), _collected("Set5")),
    Benchmark("Set14", (), _collected("Set14")),
    Benchmark("BSD100", ("b100", "bsds100"), _collected("BSD100")),
    Benchmark("Urban100", ("u100",), _collected("Urban100")),
    Benchmark(
        "Manga109",
        ("m109",),
        None,
        "Its licence lets nobody pass it on: ask for it at http://www.manga109.org and put its "
        "images there.",
    ),
    Benchmark("DIV2K-val", ("div2k", "div2kvalid", "div2k100"), _div2k),
)
