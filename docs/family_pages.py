"""One page per family of networks: its module's docstring, then what registry and manifest say."""

import re
from functools import cache
from importlib import import_module
from inspect import cleandoc

import torch

from sr_zoo.catalogue import ModelInfo, model_info
from sr_zoo.evaluation.complexity import count_complexity
from sr_zoo.registry import MODELS, spec_of, specs_of
from sr_zoo.spec import TAGS, ArchSpec, Paper
from sr_zoo.weights.manifest import Bundled, Entry, Hub, Url

NAME = r"[A-Z][\w'-]+"
CITED = re.compile(
    rf"({NAME}(?:(?:, | and ){NAME})*(?: et al\.)?), (?:[^.;,]* )?(\d{{4}})(?:, arXiv:(\S+\d))?"
)
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
JOURNAL_WORDS = ("Transactions", "TIP", "TPAMI", "TASSP", "Research", "Displays", "Journal")
REPORTED_SCALE = 4


def path(family: str) -> str:
    """Return where a family's page lies, from the documentation's root."""
    return f"models/{family}.md"


def title(family: str) -> str:
    """Return the name that a family's docstring starts with."""
    return docstring(family).partition(":")[0]


def docstring(family: str) -> str:
    """Return the docstring of a family's module, without its indentation."""
    return cleandoc(import_module(f"sr_zoo.models.{family}").__doc__ or family)


def page(family: str) -> str:
    """Return the whole page, as Markdown."""
    infos = [model_info(name) for name in MODELS if MODELS[name] == family]
    name, _, text = docstring(family).partition(":")
    text = ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text.strip())
    parts = [
        f"# {name}",
        reading(infos),
        text[0].upper() + text[1:],
        "## Forms",
        forms(infos),
        "## Weights",
        weights(infos),
        "## Tiling",
        tiling(specs_of(family)),
        "## Licence and citation",
        licences(infos),
        citation(family),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def reading(infos: list[ModelInfo]) -> str:
    """Say first which networks are the library's reading of a paper."""
    names = [f"`{info.name}`" for info in infos if "reading" in info.tags]
    return f"**Reading.** {' and '.join(names)}: {TAGS['reading']}." if names else ""


def forms(infos: list[ModelInfo]) -> str:
    """Return one row per model: what it costs, and what tiles have to know of it."""
    lines = [
        "| model | scales | parameters | multiply-adds | halo | tags |",
        "|---|---|---:|---:|---:|---|",
    ]
    for info in infos:
        scale = max(s for s in info.scales if s <= REPORTED_SCALE)
        params, macs = cost(info.name, scale)
        lines.append(
            f"| `{info.name}` | {' '.join(f'x{s}' for s in info.scales)} | {params / 1e3:,.1f} K "
            f"| {macs / 1e9:,.2f} G (x{scale}) | {info.halo} | {', '.join(info.tags)} |"
        )
    lines += [
        "",
        "Parameters and multiply-adds as the library counts them, at the scale given in brackets,",
        "for an output of 1280x720 pixels; the halo in LR pixels.",
    ]
    return "\n".join(lines)


@cache
def cost(name: str, scale: int) -> tuple[int, int]:
    """Return parameters and multiply-adds; the manifest's, which tests recount, are at hand."""
    known = model_info(name).costs
    if scale in known:
        return known[scale].num_params, known[scale].macs
    spec = spec_of(name)
    with torch.device("meta"):
        network = spec.network(**spec.variants[name].resolve(scale))
    counted = count_complexity(network)
    return counted.num_params, counted.macs


def weights(infos: list[ModelInfo]) -> str:
    """Return what weights exist, the line that loads each kind, and all scores."""
    entries = [entry for info in infos for entry in info.weights]
    if not entries:
        learned = any(cost(info.name, max(info.scales))[0] for info in infos)
        return untrained(infos) if learned else "Nothing is learned, so there are none."
    lines = ["```python", "import sr_zoo", ""]
    for key in dict.fromkeys((e.model, e.tag) for e in entries):
        same = [e for e in entries if (e.model, e.tag) == key]
        lines.append(load_line(same))
    return "\n".join([*lines, "```", "", *files(entries), "", *scores(entries), *notes(entries)])


def untrained(infos: list[ModelInfo]) -> str:
    """Say how to use networks of which no weights are known."""
    info = next((i for i in infos if "reading" not in i.tags), infos[0])
    scale = max(s for s in info.scales if s <= REPORTED_SCALE)
    build = f'sr_zoo.create_model("{info.name}", scale={scale}'
    lines = ["No weights are known.", "", "```python", "import sr_zoo", ""]
    lines.append(f"model = {build}, pretrained=False)  # untrained")
    if info.reference and "reading" not in info.tags:
        lines.append(f'model = {build}, checkpoint="theirs.pth")  # the authors\' layout')
    return "\n".join([*lines, "```"])


def load_line(same: list[Entry]) -> str:
    """Return the line that loads one of several files that differ in scale alone."""
    entry = same[-1]
    tag = "" if entry.default else f', pretrained="{entry.tag}"'
    scales = ", ".join(f"x{e.scale}" for e in same)
    return f'model = sr_zoo.create_model("{entry.model}", scale={entry.scale}{tag})  # {scales}'


def files(entries: list[Entry]) -> list[str]:
    """Return one row per file: where it is from and what its licence is."""
    lines = [
        "| weights | licence | size | parameters | multiply-adds | trained on | file |",
        "|---|---|---:|---:|---:|---|---|",
    ]
    return lines + [
        f"| `{e.id}` | {e.license or 'none stated'} | {e.bytes / 1e6:.2f} MB "
        f"| {e.num_params / 1e3:,.1f} K | {e.macs / 1e9:,.2f} G "
        f"| {', '.join(e.trained_on) or '-'} | {link(e)} |"
        for e in entries
    ]


def link(entry: Entry) -> str:
    """Return where a weight file is."""
    source = entry.source
    if isinstance(source, Bundled):
        return "in the package"
    if isinstance(source, Url):
        return f"[{entry.file_name}]({source.url})"
    if isinstance(source, Hub):
        address = f"https://huggingface.co/{source.repo}/blob/{source.revision}/{source.file}"
        return f"[{entry.file_name}]({address})"
    return f"[{entry.file_name}]({source.page}), by hand"


def scores(entries: list[Entry]) -> list[str]:
    """Return measured and published scores, one above the other."""
    known = [entry for entry in entries if entry.metrics or entry.published]
    names = dict.fromkeys(n for e in known for n in (*e.metrics, *e.published))
    if not known:
        return []
    lines = [
        "PSNR in dB and SSIM on luminance, as `sr-zoo eval` measures them and as published:",
        "",
        f"| weights | | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
    ]
    for entry in known:
        cells = (f"{score(entry.metrics, n)}<br>{score(entry.published, n)}" for n in names)
        lines.append(f"| `{entry.id}` | measured<br>published | {' | '.join(cells)} |")
    return lines


def score(of: dict[str, dict[str, float]], name: str) -> str:
    """Return one cell: PSNR and SSIM, as far as they are known."""
    values = of.get(name, {})
    psnr, ssim = values.get("psnr_y"), values.get("ssim_y")
    words = [f"{psnr:.2f}"] if psnr is not None else []
    words += [f"{ssim:.4f}"] if ssim is not None else []
    return " / ".join(words) or "-"


def notes(entries: list[Entry]) -> list[str]:
    """Return where scores were published and what else the manifest says, each once."""
    said: dict[str, list[str]] = {}
    for entry in entries:
        if entry.published_in:
            said.setdefault(f"Published in: {entry.published_in}.", []).append(entry.id)
        if entry.note:
            said.setdefault(entry.note, []).append(entry.id)
    return ["", *(f"- {', '.join(f'`{i}`' for i in ids)}: {text}" for text, ids in said.items())]


def tiling(specs: tuple[ArchSpec, ...]) -> str:
    """Say how tiles of each form compare with the whole image."""
    lines = [f"- {', '.join(f'`{n}`' for n in spec.variants)}: {exactness(spec)}" for spec in specs]
    return "\n".join([*lines, "", "[How tiles work](../tiling.md)."])


def exactness(spec: ArchSpec) -> str:
    """Say what tiles of one form are worth."""
    grid = f" Tiles start on multiples of {spec.grid} LR pixels." if spec.grid > 1 else ""
    if spec.global_attention:
        return f"pixels attend across the whole image; tiles come close to untiled output.{grid}"
    if spec.global_statistics:
        return f"averages over the whole image are gathered first; tiles come close.{grid}"
    if spec.fading:
        return f"each window sees a little further; tiles come within rounding.{grid}"
    return f"local; tiles equal the untiled output.{grid}"


def licences(infos: list[ModelInfo]) -> str:
    """Return where the authors' code is and under which licence."""
    lines = []
    for reference in dict.fromkeys((i.reference, i.reference_license) for i in infos):
        names = ", ".join(
            f"`{i.name}`" for i in infos if (i.reference, i.reference_license) == reference
        )
        repository, license_ = reference
        if repository is None:
            lines.append(f"- {names}: no public code of the authors is known.")
        else:
            lines.append(
                f"- {names}: authors' code [{repository}](https://github.com/{repository}), "
                f"licence {license_ or 'not stated'}."
            )
    lines.append("- This implementation: Apache-2.0. Weights: as listed above, file by file.")
    return "\n".join(lines)


def citation(family: str) -> str:
    """Return BibTeX for each paper of a family."""
    papers = dict.fromkeys(spec.paper for spec in specs_of(family))
    entries = [bibtex(paper, authors(paper, docstring(family))) for paper in papers]
    return "```bibtex\n" + "\n\n".join(entries) + "\n```"


def authors(paper: Paper, text: str) -> str:
    """Return whom a docstring names as a paper's authors, as BibTeX writes them, or nothing."""
    for names, year, arxiv in CITED.findall(" ".join(text.split())):
        if arxiv == paper.arxiv if paper.arxiv else int(year) == paper.year:
            return names.replace(" et al.", " and others").replace(", ", " and ")
    return ""


def bibtex(paper: Paper, names: str) -> str:
    """Return a paper's entry, made of what the registry holds and the authors' names."""
    first = (names or paper.title).split()[0].lower()
    title_word = re.findall(r"\w+", paper.title)[0].lower()
    published = paper.venue != "-"
    journal = any(word in paper.venue for word in JOURNAL_WORDS)
    kind, venue = ("article", "journal") if journal else ("inproceedings", "booktitle")
    fields = {
        "title": f"{{{paper.title}}}",
        "author": names,
        venue: paper.venue if published else "",
        "year": str(paper.year),
        "eprint": paper.arxiv,
        "archivePrefix": "arXiv" if paper.arxiv else "",
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    key = f"{first}{paper.year}{title_word}"
    return "\n".join([f"@{kind if published else 'misc'}{{{key},", *lines, "}"])
