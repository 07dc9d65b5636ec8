"""Makes pages and tables from the registry and the manifest when the documentation is built."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import family_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from sr_zoo.catalogue import ModelInfo, list_models, model_info
from sr_zoo.evaluation.measures import MEASURES
from sr_zoo.registry import families
from sr_zoo.spec import TAGS
from sr_zoo.weights.manifest import Entry

MODELS_MARK = "<!-- table of models -->"
TAGS_MARK = "<!-- table of tags -->"
MEASURES_MARK = "<!-- table of measures -->"
ALL_MODELS = "models.md"
MERMAID = "javascripts/mermaid.js"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the families' pages behind the page of all models."""
    pages = [{family_pages.title(f): family_pages.path(f)} for f in families()]
    config.nav = [
        {name: [page, {"Families": pages}]} if page == ALL_MODELS else item
        for item in config.nav or []
        for name, page in item.items()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page per family, and the script that draws their diagrams.

    The theme would fetch that script from elsewhere; a package of the documentation's requirements,
    whose version is pinned, holds it too.
    """
    for family in families():
        text = family_pages.page(family)
        files.append(File.generated(config, family_pages.path(family), content=text))
    script = Path(str(distribution("mermaidx").locate_file("mermaidx/assets/mermaid.js")))
    files.append(File.generated(config, MERMAID, content=script.read_bytes()))
    return files


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Load the script for diagrams where there is one."""
    if 'class="mermaid"' not in html:
        return html
    return f'{html}\n<script src="{get_relative_url(MERMAID, page.url)}"></script>\n'


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page by the tables they stand for."""
    if MODELS_MARK in markdown:
        markdown = markdown.replace(MODELS_MARK, models_table())
    if TAGS_MARK in markdown:
        markdown = markdown.replace(TAGS_MARK, tags_table())
    if MEASURES_MARK in markdown:
        markdown = markdown.replace(MEASURES_MARK, measures_table())
    return markdown


def models_table() -> str:
    """Return one row per model: scales, paper, tags, tiling and weights."""
    lines = ["| model | scales | paper | tags | halo | weights |", "|---|---|---|---|---|---|"]
    lines += [_row(model_info(name)) for name in list_models()]
    return "\n".join(lines)


def _row(info: ModelInfo) -> str:
    paper = f"{info.paper.venue} {info.paper.year}".removeprefix("- ")
    if info.paper.arxiv:
        paper = f"[{paper}](https://arxiv.org/abs/{info.paper.arxiv})"
    halo = f"{info.halo}" if info.tile_exact else f"{info.halo}*"
    scales = " ".join(f"x{scale}" for scale in info.scales)
    name = f"[`{info.name}`]({family_pages.path(info.family)})"
    return f"| {name} | {scales} | {paper} | {', '.join(info.tags)} | {halo} | {_all(info)} |"


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


def measures_table() -> str:
    """Return one row per measure of an evaluation."""
    lines = ["| measure | what it is | better |", "|---|---|---|"]
    for measure in MEASURES.values():
        better = "higher" if measure.higher_is_better else "lower"
        lines.append(f"| `{measure.name}` | {measure.summary} | {better} |")
    return "\n".join(lines)
