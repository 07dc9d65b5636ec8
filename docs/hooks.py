"""Fills the pages' tables from the registry and the manifest when the documentation is built."""

from typing import Any

from sr_zoo.api import ModelInfo, list_models, model_info
from sr_zoo.spec import TAGS
from sr_zoo.weights.manifest import Entry

MODELS_MARK = "<!-- table of models -->"
TAGS_MARK = "<!-- table of tags -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page by the tables they stand for."""
    if MODELS_MARK in markdown:
        markdown = markdown.replace(MODELS_MARK, models_table())
    if TAGS_MARK in markdown:
        markdown = markdown.replace(TAGS_MARK, tags_table())
    return markdown


def models_table() -> str:
    """Return one row per model: scales, paper, tags, tiling and weights."""
    lines = ["| model | scales | paper | tags | halo | weights |", "|---|---|---|---|---|---|"]
    lines += [_row(model_info(name)) for name in list_models()]
    return "\n".join(lines)


def _row(info: ModelInfo) -> str:
    paper = f"{info.paper.venue} {info.paper.year}"
    if info.paper.arxiv:
        paper = f"[{paper}](https://arxiv.org/abs/{info.paper.arxiv})"
    halo = f"{info.halo}" if info.tile_exact else f"{info.halo}*"
    scales = " ".join(f"x{scale}" for scale in info.scales)
    return (
        f"| `{info.name}` | {scales} | {paper} | {', '.join(info.tags)} | {halo} | {_all(info)} |"
    )


def _all(info: ModelInfo) -> str:
    """Return one line per tag of the weights, with the score at each scale."""
    tags = sorted({entry.tag for entry in info.weights})
    lines = (
        f"{tag}: " + ", ".join(_score(entry) for entry in info.weights if entry.tag == tag)
        for tag in tags
    )
    return "<br>".join(lines) or "-"


def _score(entry: Entry) -> str:
    score = entry.metrics.get("Set5", {}).get("psnr_y")
    return f"x{entry.scale}" if score is None else f"x{entry.scale} {score:.2f}"


def tags_table() -> str:
    """Return one row per tag."""
    return "\n".join(
        ["| tag | meaning |", "|---|---|", *(f"| `{t}` | {m} |" for t, m in TAGS.items())]
    )
