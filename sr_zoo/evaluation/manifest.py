"""Measured numbers into the manifest, so that none is ever typed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from sr_zoo.atomic import write_atomically
from sr_zoo.errors import OptionError
from sr_zoo.evaluation.candidates import Candidate
from sr_zoo.evaluation.evaluate import Evaluation, Options
from sr_zoo.weights.manifest import manifest_path

MEASURES = ("psnr_y", "ssim_y")
DECIMALS = 4


def check_protocol(
    options: Options, *, dtype: torch.dtype = torch.float32, lr_folder: Path | None = None
) -> None:
    """Check that what is to be measured is what the manifest takes.

    Args:
        options: How results are to be made and measured.
        dtype: What networks are to compute in.
        lr_folder: Where LR images are to come from, if not from the data set or from MATLAB's
            bicubic.

    Raises:
        OptionError: It departs from the papers' protocol.
    """
    if (
        options.self_ensemble
        or options.tile is not None
        or not set(MEASURES) <= {*options.measures}
        or dtype != torch.float32
        or lr_folder is not None
    ):
        raise OptionError(
            "The manifest takes psnr_y and ssim_y of whole images in float32 only: leave out "
            "--self-ensemble, --tile, --measure, --dtype and --lr."
        )


def check_entries(candidates: Sequence[Candidate]) -> None:
    """Check that the manifest has an entry for all that is to be measured.

    Raises:
        OptionError: It has none.
    """
    if unknown := [candidate.label for candidate in candidates if candidate.entry is None]:
        raise OptionError(
            f"The manifest has no entry for {', '.join(unknown)}; --update-manifest takes the "
            "weights that `sr-zoo weights list` names"
        )


def update_manifest(evaluation: Evaluation) -> list[str]:
    """Write the means of known weights as the `metrics` of their manifest entries.

    Data sets that were not measured keep the numbers they have.

    Args:
        evaluation: Made with the papers' protocol; data sets of which images were left out do not
            count.

    Returns:
        The ids of the entries that have numbers now.

    Raises:
        OptionError: The evaluation departs from the papers' protocol.
    """
    check_protocol(evaluation.options)
    if evaluation.problems:
        raise OptionError(
            f"The manifest was not changed, since not all was measured: {evaluation.problems[0]}"
        )
    entries = {(c.label, c.scale): c.entry for c in evaluation.candidates}
    path = manifest_path()
    content = json.loads(path.read_text(encoding="utf-8"))
    records = {record["id"]: record for record in content["entries"]}
    updated = []
    for row in evaluation.rows():
        entry = entries[row.candidate, row.scale]
        scores = {name: row.scores[name] for name in MEASURES}
        if entry is None or not all(map(math.isfinite, scores.values())):
            continue
        metrics = records[entry.id].setdefault("metrics", {})
        metrics[row.dataset] = {name: round(value, DECIMALS) for name, value in scores.items()}
        updated.append(entry.id)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode())
    return list(dict.fromkeys(updated))
