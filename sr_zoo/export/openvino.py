"""OpenVINO files: a description (.xml) and its weights beside it (.bin)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sr_zoo.errors import ExportError
from sr_zoo.export import onnx
from sr_zoo.export.facts import PREFIX, Facts, read_facts
from sr_zoo.export.program import Source
from sr_zoo.export.running import Opened, package

SUFFIX = ".xml"


def write(source: Source, path: Path) -> None:
    """Write a network to `path` and its weights beside it, by way of ONNX.

    Raises:
        ExportError: Something in the network cannot be converted, or a package is missing.
    """
    by_way = path.with_suffix(onnx.SUFFIX)
    onnx.write(source, by_way)
    convert(by_way, source.facts, path)
    by_way.unlink()


def convert(source: Path, facts: Facts, path: Path) -> None:
    """Write an ONNX file as one of OpenVINO's.

    Raises:
        ExportError: OpenVINO cannot convert it, or is not installed.
        OSError: The file cannot be written.
    """
    openvino = package("openvino", "OpenVINO", "openvino")
    try:
        model = openvino.convert_model(source)
    except Exception as error:  # its own kinds have no common base
        reason = str(error).strip().splitlines()[-1]
        raise ExportError(f"{facts.model} cannot be converted by OpenVINO: {reason}") from error
    for key, value in facts.as_text().items():
        model.set_rt_info(value, [PREFIX.rstrip("."), key.removeprefix(PREFIX)])
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(f"OpenVINO says {str(error).strip().splitlines()[-1]!r}") from error


def open_file(path: Path) -> Opened:
    """Open a file on the CPU, in float32, with as many threads as torch has.

    Raises:
        ExportError: The file is damaged or not ours, or a package is missing.
    """
    openvino = package("openvino", "OpenVINO", "openvino")
    # left alone, OpenVINO computes in bfloat16 where the processor can
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        core = openvino.Core()
        model = core.read_model(path)
        compiled = core.compile_model(model, "CPU", settings)
    except Exception as error:  # its own kinds have no common base
        raise ExportError(f"{path} cannot be opened by OpenVINO: {error}") from error
    told: dict[str, Any] = {}
    if model.has_rt_info([PREFIX.rstrip(".")]):
        told = model.get_rt_info([PREFIX.rstrip(".")]).value
    metadata = {PREFIX + key: str(getattr(value, "value", value)) for key, value in told.items()}

    def run(image: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(compiled(image.contiguous().numpy())[0].copy())

    return Opened(run, read_facts(metadata, str(path)))
