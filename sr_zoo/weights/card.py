"""Model cards: what a saved network says of itself, to people and to the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import SupportsFloat

from sr_zoo.errors import ModelArgumentError
from sr_zoo.network import Identity
from sr_zoo.registry import spec_of
from sr_zoo.spec import Paper
from sr_zoo.weights.manifest import Entry, Score

MEASURES = {"psnr_y": ("psnr", "PSNR on Y (dB)"), "ssim_y": ("ssim", "SSIM on Y")}


@dataclass(frozen=True)
class Facts:
    """What is known of weights beside their numbers.

    Attributes:
        license: SPDX identifier, or None if there is none to state.
        trained_on: Data sets.
        metrics: Data set to ``psnr_y`` (dB) and ``ssim_y``, by the papers' protocol.
        origin: Where the weights come from: a manifest id, the file's address and its SHA-256.
    """

    license: str | None = None
    trained_on: tuple[str, ...] = ()
    metrics: Mapping[str, Score] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: Entry) -> Facts:
        """Return what the manifest knows of an entry's weights."""
        origin = {"id": entry.id, "source": entry.address, "source_sha256": entry.sha256}
        return cls(entry.license, entry.trained_on, entry.metrics, origin)

    @classmethod
    def given(
        cls,
        license: str | None,
        trained_on: str | tuple[str, ...],
        metrics: Mapping[str, Mapping[str, SupportsFloat]] | None,
    ) -> Facts:
        """Return what a user says of weights.

        Args:
            license: SPDX identifier.
            trained_on: Data sets; one string is one of them.
            metrics: Numbers of any kind, as NumPy and torch give them.

        Raises:
            ModelArgumentError: A score is no number.
        """
        datasets = (trained_on,) if isinstance(trained_on, str) else tuple(trained_on)
        scores = {dataset: _numbers(dataset, own) for dataset, own in (metrics or {}).items()}
        return cls(license, datasets, scores)

    @property
    def stated(self) -> dict[str, str]:
        """Licence and origin as a file's metadata have them; nothing where they are not known."""
        return {**({"license": self.license} if self.license else {}), **self.origin}


def _numbers(dataset: str, scores: Mapping[str, SupportsFloat]) -> Score:
    """Return the scores of a data set as Python's own numbers, which every reader of YAML knows."""
    try:
        return {measure: float(value) for measure, value in scores.items()}
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ModelArgumentError(
            f"metrics[{dataset!r}]={scores!r} has something that is no number; "
            "it is such as {'psnr_y': 32.2, 'ssim_y': 0.895}"
        ) from error


def forbids_commerce(license: str) -> bool:
    """Return whether a licence, by its SPDX identifier, is for non-commercial use alone."""
    return "NC" in license.upper().split("-")


def model_card(identity: Identity, facts: Facts, source: str) -> str:
    """Return the README of a saved network, metadata for the Hub first.

    Args:
        identity: Which network it is.
        facts: About its weights.
        source: What `sr_zoo.create_model` takes to load it.

    Raises:
        ModelArgumentError: The facts have a measure that is none of `MEASURES`.
    """
    from huggingface_hub import EvalResult, ModelCardData

    _check_measures(facts.metrics)
    scale = identity.arguments["scale"]
    title = f"{identity.name} x{scale}"
    results = [
        EvalResult(
            task_type="image-to-image",
            task_name=f"Super-resolution x{scale}",
            dataset_type=dataset.lower(),
            dataset_name=dataset,
            metric_type=MEASURES[measure][0],
            metric_name=MEASURES[measure][1],
            metric_value=value,
        )
        for dataset, scores in facts.metrics.items()
        for measure, value in scores.items()
    ]
    data = ModelCardData(
        library_name="sr_zoo",
        pipeline_tag="image-to-image",
        license=facts.license.lower() if facts.license else None,
        datasets=list(facts.trained_on) or None,
        tags=["super-resolution", "image-upscaling"],
        model_name=title if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{_text(title, identity, facts, source)}"


def _check_measures(metrics: Mapping[str, Score]) -> None:
    for dataset, scores in metrics.items():
        for measure in scores.keys() - MEASURES.keys():
            raise ModelArgumentError(
                f"A model card states no {measure!r} of {dataset}; it states {', '.join(MEASURES)}"
            )


def _text(title: str, identity: Identity, facts: Facts, source: str) -> str:
    spec = spec_of(identity.name)
    parts = [f"# {title}", _citation(spec.paper)]
    if identity.fused:
        parts.append("In its deployed form: branches that only training needs are merged.")
    parts.append(
        "\n".join(
            [
                "```python",
                "import sr_zoo",
                "",
                f'model = sr_zoo.create_model("{source}")',
                'sr_zoo.upscale("photo.png", model=model).save("bigger.png")',
                "```",
            ]
        )
    )
    if facts.metrics:
        parts.append(_table(facts.metrics))
    if facts.license:
        limit = ": **not for commercial use**" if forbids_commerce(facts.license) else ""
        parts.append(f"Licence of the weights: {facts.license}{limit}.")
    if facts.trained_on:
        parts.append(f"Trained on {', '.join(facts.trained_on)}.")
    if facts.origin:
        parts.append("\n".join(f"- {key}: {value}" for key, value in facts.origin.items()))
    if spec.reference:
        parts.append(f"The authors' code: https://github.com/{spec.reference}")
    return "\n\n".join(parts) + "\n"


def _citation(paper: Paper) -> str:
    where = f"{paper.title}, {paper.venue} {paper.year}"
    return (
        f"{where}, [arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})."
        if (paper.arxiv)
        else f"{where}."
    )


def _table(metrics: Mapping[str, Score]) -> str:
    rows = [
        f"| {dataset} | {_cell(scores, 'psnr_y', 2)} | {_cell(scores, 'ssim_y', 4)} |"
        for dataset, scores in metrics.items()
    ]
    return "\n".join(["| Data set | PSNR (dB) | SSIM |", "|---|---|---|", *rows])


def _cell(scores: Score, measure: str, digits: int) -> str:
    return f"{scores[measure]:.{digits}f}" if measure in scores else "-"
