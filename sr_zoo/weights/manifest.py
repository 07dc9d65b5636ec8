"""The manifest: every checkpoint that the library knows, as data.

`weights_manifest.json` lies at the top of the repository and inside the installed package. Reading
it needs no torch, so that models with weights can be listed at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from sr_zoo.errors import SRZooError, WeightsNotFoundError, did_you_mean

FILE_NAME = "weights_manifest.json"
ON_HUB = "hf-hub:"  # begins the name of a repository whose weights no entry describes
RANKED_ON = "Set5"  # the data set that orders bundled weights

Score: TypeAlias = Mapping[str, float]


@dataclass(frozen=True)
class Bundled:
    """A file inside the package.

    Attributes:
        file: Its name in `sr_zoo/weights/bundled`.
    """

    file: str


@dataclass(frozen=True)
class Url:
    """A file on the web.

    Attributes:
        url: HTTPS address, pinned to a commit or a release.
    """

    url: str


@dataclass(frozen=True)
class Hub:
    """A file in a repository of the Hugging Face Hub.

    Attributes:
        repo: ``"owner/name"``.
        revision: Full commit hash.
        file: Path inside the repository.
    """

    repo: str
    revision: str
    file: str


@dataclass(frozen=True)
class Manual:
    """A file behind a page that only a person in a browser can download from.

    Attributes:
        page: Address of that page.
        file: Name of the file.
        archive: Name of the zip archive that the page gives, where the file lies in one.
    """

    page: str
    file: str
    archive: str | None = None


Source: TypeAlias = Bundled | Url | Hub | Manual
_SOURCES: dict[str, type[Bundled] | type[Url] | type[Hub] | type[Manual]] = {
    "bundled": Bundled,
    "url": Url,
    "hub": Hub,
    "manual": Manual,
}


@dataclass(frozen=True)
class Entry:
    """One checkpoint for one model at one scale; several entries may share a file.

    Attributes:
        id: ``"rlfn_x4.official"``.
        model: Model name as in the registry.
        scale: Upscaling factor.
        tag: Who trained it: ``"official"`` (the authors), ``"sr_zoo"`` (this library), or the
            authors' further releases (``"official_df2k"``).
        default: Whether ``pretrained=True`` means this one.
        source: Where the file is.
        sha256: 64 hexadecimal digits, of the file as it is fetched.
        bytes: Its size.
        license: SPDX identifier that the file's repository states, or None if it states none.
        layout: ``"ours"`` or ``"official"``, whose tensor names the file has.
        num_params: Learned parameters of the network.
        macs: Multiply-adds for an output of 1280x720 pixels.
        trained_on: Data sets, where they are known.
        metrics: Measured by ``sr-zoo eval``: data set to ``psnr_y`` (dB) and ``ssim_y``.
        published: The same as the authors state it.
        published_in: Where they state it.
        key: Which of several state dicts in the file to take, as a path such as ``"params"``; None
            for the usual choice.
        note: Anything a user should know.
    """

    id: str
    model: str
    scale: int
    tag: str
    default: bool
    source: Source
    sha256: str
    bytes: int
    license: str | None
    layout: str
    num_params: int
    macs: int
    trained_on: tuple[str, ...] = ()
    metrics: Mapping[str, Score] = field(default_factory=dict)
    published: Mapping[str, Score] = field(default_factory=dict)
    published_in: str | None = None
    key: str | None = None
    note: str | None = None

    @property
    def file_name(self) -> str:
        """Name of the file, without folders."""
        path = self.source.url if isinstance(self.source, Url) else self.source.file
        return path.rpartition("/")[2]

    @property
    def address(self) -> str:
        """Where the file was published, for people."""
        if isinstance(self.source, Hub):
            return f"https://huggingface.co/{self.source.repo}/tree/{self.source.revision}"
        if isinstance(self.source, Bundled):
            return "trained by sr_zoo"
        return self.source.url if isinstance(self.source, Url) else self.source.page

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Entry:
        """Build an entry from its record in the manifest."""
        known = {f.name for f in fields(cls)}
        unknown = record.keys() - known
        if unknown:
            raise SRZooError(f"{FILE_NAME}: {record.get('id')!r} has unknown fields {unknown}")
        values = {**record, "trained_on": tuple(record.get("trained_on", ()))}
        source = dict(record["source"])
        values["source"] = _SOURCES[source.pop("kind")](**source)
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return the record that `from_json` builds this entry from, with every field in it."""
        kind = next(name for name, made in _SOURCES.items() if made is type(self.source))
        return {
            **vars(self),
            "source": {"kind": kind, **vars(self.source)},
            "trained_on": list(self.trained_on),
        }


class Manifest:
    """All known checkpoints.

    Attributes:
        entries: In the order of the file.
    """

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries

    @cached_property
    def _by_id(self) -> dict[str, Entry]:
        return {entry.id: entry for entry in self.entries}

    def by_id(self, entry_id: str) -> Entry:
        """Return the entry with this id.

        Raises:
            WeightsNotFoundError: There is none.
        """
        try:
            return self._by_id[entry_id]
        except KeyError:
            raise WeightsNotFoundError(
                f"No weights have the id {entry_id!r}.{did_you_mean(entry_id, self._by_id)} "
                "`sr-zoo weights list` names all of them."
            ) from None

    def by_sha256(self, digest: str) -> tuple[Entry, ...]:
        """Return the entries whose file has this SHA-256; several where one file serves several."""
        return tuple(entry for entry in self.entries if entry.sha256 == digest)

    def of_model(self, model: str) -> tuple[Entry, ...]:
        """Return the entries of a model, at any scale."""
        return tuple(entry for entry in self.entries if entry.model == model)

    def find(self, model: str, scale: int, tag: str | None = None) -> Entry:
        """Return the entry of a model at a scale: the one with `tag`, or the default.

        Raises:
            WeightsNotFoundError: There is none; the message names what exists.
        """
        of_model = self.of_model(model)
        here = [entry for entry in of_model if entry.scale == scale]
        for entry in here:
            if entry.default if tag is None else entry.tag == tag:
                return entry
        wanted = f"{model} x{scale}" + (f" with the tag {tag!r}" if tag else "")
        if here:
            exists = f"Tags at x{scale}: {', '.join(sorted(e.tag for e in here))}."
        elif of_model:
            scales = sorted({entry.scale for entry in of_model})
            exists = f"There are some for {', '.join(f'x{s}' for s in scales)}."
        else:
            exists = "None are known for this model at any scale."
        raise WeightsNotFoundError(
            f"No weights are known for {wanted}. {exists} "
            "In Python, pretrained=False builds the network untrained and checkpoint=FILE loads a "
            "file of yours; commands take FILE in the model's place."
        )

    def bundled(self, scale: int) -> tuple[Entry, ...]:
        """Return the entries at `scale` that lie in the package, the best on Set5 first."""
        here = [e for e in self.entries if e.scale == scale and isinstance(e.source, Bundled)]
        return tuple(sorted(here, key=lambda e: -e.metrics.get(RANKED_ON, {}).get("psnr_y", 0.0)))


def manifest_path() -> Path:
    """Return where the manifest is: in the package, or beside it in a checkout.

    Raises:
        WeightsNotFoundError: In neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package, package.parent):
        path = folder / FILE_NAME
        if path.is_file():
            return path
    raise WeightsNotFoundError(
        f"{FILE_NAME} is missing from {package} and from {package.parent}: reinstall sr_zoo."
    )


@lru_cache(maxsize=1)
def load_manifest() -> Manifest:
    """Return the manifest; read once per process."""
    records = json.loads(manifest_path().read_text(encoding="utf-8"))["entries"]
    return Manifest(tuple(Entry.from_json(record) for record in records))
