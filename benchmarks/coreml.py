"""Which networks coremltools converts for Core ML.

Exports each with random weights, at scale 4 or its largest, for one size of image, and hands it to
the converter. Nothing is run: that takes a Mac. Prints a table of docs/export.md:
``python benchmarks/coreml.py MODEL... > docs/measured/coreml.md``
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import coremltools
import torch

from sr_zoo import create_model, model_info
from sr_zoo.errors import ExportError
from sr_zoo.export.coreml import export_coreml_ready

SCALE = 4
SIZE = (96, 80)
SYSTEM = coremltools.target.iOS16  # before, Core ML had no pixel unshuffle


def outcome(model: str, file: Path) -> str:
    """Export and convert one network; return what became of it."""
    scales = model_info(model).scales
    scale = SCALE if SCALE in scales else max(scales)
    try:
        export_coreml_ready(create_model(model, scale, pretrained=False), file, size=SIZE)
    except ExportError as error:
        return str(error)
    try:
        coremltools.convert(torch.export.load(file), minimum_deployment_target=SYSTEM)
    except Exception as error:  # the converter has no base for its own
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return "converted"


def main(models: list[str]) -> None:
    """Print the table, a row for each model."""
    print(f"coremltools {coremltools.__version__}, torch {torch.__version__}; {SIZE[0]}x{SIZE[1]}")
    print("\n| network | coremltools |\n|---|---|")
    with TemporaryDirectory() as folder:
        for model in models:
            print(f"| `{model}` | {outcome(model, Path(folder) / 'network.pt2')} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
