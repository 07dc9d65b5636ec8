"""Which networks can be exported to what, and how close the files come to PyTorch.

Exports each network of the library, with random weights, at scale 4 or its largest, and compares
the files with PyTorch at several sizes, and PyTorch's float32 with its float64: a file can hardly
be closer where random weights make a network magnify every rounding. Prints a markdown table;
docs/measured/export.md holds it:
``python benchmarks/export.py docs/measured/export.json > docs/measured/export.md``

The JSON file keeps what was measured, so that a run goes on where it was stopped and a new format
is measured alone; what is named is measured anew:
``python benchmarks/export.py docs/measured/export.json rlfn craft``
"""

import json
import sys
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from sr_zoo import create_model, fuse, list_models, model_info
from sr_zoo.errors import ExportError
from sr_zoo.export import openvino
from sr_zoo.export.exporting import FORMATS, SIZES, TOLERANCE, compare, open_exported, picture
from sr_zoo.export.facts import facts_of
from sr_zoo.export.program import Source
from sr_zoo.network import SRNetwork

SCALE = 4


def measure(name: str, folder: Path, known: dict[str, Any]) -> dict[str, Any]:
    """Export one network to what is not known; add the largest difference, or what went wrong."""
    scales = model_info(name).scales
    torch.manual_seed(0)
    network = create_model(name, SCALE if SCALE in scales else max(scales), pretrained=False)
    facts = facts_of(network)
    row = dict(known) or {"scale": network.scale, "rounding": rounding(network)}
    source = Source(fuse(network), facts)
    files = {to: folder / f"network{import_module(form).SUFFIX}" for to, form in FORMATS.items()}
    for to, form in FORMATS.items():
        if to in known:
            continue
        try:
            if to == "openvino" and files["onnx"].is_file():
                openvino.convert(files["onnx"], facts, files[to])  # as its `write` does
            else:
                import_module(form).write(source, files[to])
            comparisons = compare(network, open_exported(files[to]), SIZES)
        except ExportError as error:
            row[to] = str(error)
        else:
            row[to] = TOLERANCE * max(c.difference / c.allowed for c in comparisons)
    return row


@torch.inference_mode()
def rounding(network: SRNetwork) -> float:
    """Return how far float32 is from float64 in PyTorch, as the files are compared."""
    double = deepcopy(network).double()
    largest = 0.0
    for size in SIZES:
        image = picture(*size)
        expected = double(image.double())
        difference = (network(image) - expected).abs().max() / expected.abs().max().clamp(min=1)
        largest = max(largest, difference.item())
    return largest


def cell(value: float | str, name: str) -> str:
    """Return what the table says of one file of a network."""
    return value.removeprefix(f"{name} ") if isinstance(value, str) else f"{value:.0e}"


def table(rows: dict[str, Any]) -> str:
    """Return the page's text."""
    sizes = ", ".join(" x ".join(map(str, (n, 3, *sides))) for n, *sides in SIZES)
    lines = [
        f"Largest difference from PyTorch over inputs of {sizes}, "
        "as a share of the largest output, at least of 1:",
        "",
        "| model | " + " | ".join(FORMATS) + " | PyTorch, float32 against float64 |",
        "|---" * (len(FORMATS) + 2) + "|",
    ]
    for name, row in sorted(rows.items()):
        cells = " | ".join(cell(row.get(to, ""), name) for to in (*FORMATS, "rounding"))
        lines.append(f"| `{name}` x{row['scale']} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, or what is named, and print the table."""
    journal = Path(sys.argv[1])
    named = sys.argv[2:]
    rows: dict[str, Any] = json.loads(journal.read_text()) if journal.exists() else {}
    for name in named or list_models():
        known = {} if named else rows.get(name, {})
        if known.keys() >= FORMATS.keys():
            continue
        with TemporaryDirectory() as folder:
            rows[name] = measure(name, Path(folder), known)
        print(name, rows[name], file=sys.stderr, flush=True)
        journal.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
