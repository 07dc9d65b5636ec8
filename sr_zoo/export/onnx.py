"""ONNX files, written by torch and run by ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sr_zoo.errors import ExportError
from sr_zoo.export.facts import read_facts
from sr_zoo.export.program import Source
from sr_zoo.export.quiet import quiet
from sr_zoo.export.running import Opened, package

SUFFIX = ".onnx"
OPSET = 18  # what torch writes natively, known to every runtime of the last years
INPUT, OUTPUT = "input", "output"
IN_SIZES = ("batch", 3, "height", "width")
OUT_SIZES = ("batch", 3, "out_height", "out_width")


def write(source: Source, path: Path) -> None:
    """Write a network to a file: ``input`` and ``output``, NCHW RGB in [0, 1].

    Raises:
        ExportError: The network cannot be traced, ONNX has no operator for something in it, or a
            package is missing.
    """
    onnx_ir = package("onnx_ir", "ONNX", "onnx")
    package("onnxscript", "ONNX", "onnx")  # torch imports it, and says more if it is missing
    # the fused kernels lay their output out otherwise than the ONNX operator, and what follows in
    # the graph would rely on that
    with sdpa_kernel(SDPBackend.MATH), quiet("torch.onnx", "onnxscript", "onnx_ir"):
        try:
            converted = torch.onnx.export(
                source.program, dynamo=True, opset_version=OPSET, optimize=False, verbose=False
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ExportError(
                f"{source.facts.model} cannot be written as ONNX: {_reason(error)}"
            ) from error
        if converted is None:
            raise ExportError(
                f"{source.facts.model} cannot be written as ONNX: torch gave no reason"
            )
        model = converted.model
        _simplify(model)
    (taken,), (given,) = model.graph.inputs, model.graph.outputs
    taken.name, given.name = INPUT, OUTPUT
    taken.shape, given.shape = onnx_ir.Shape(IN_SIZES), onnx_ir.Shape(OUT_SIZES)
    _strip(model)
    model.metadata_props.update(source.facts.as_text())
    converted.save(path, external_data=False)


def _reason(error: BaseException) -> str:
    """Return the innermost cause of an error, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0]


def _simplify(model: Any) -> None:
    """Compute what is constant, once, and drop what is computed twice or for nothing.

    torch's own optimisation does this too, but then tries hundreds of patterns on each node, which
    takes minutes for a deep network; runtimes rewrite a graph for themselves anyway.
    """
    from onnx_ir.passes import common
    from onnxscript import optimizer

    common.InlinePass()(model)
    optimizer.fold_constants(model, onnx_shape_inference=False)
    for simplify in (
        common.RemoveUnusedNodesPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
    ):
        simplify(model)


def _strip(model: Any) -> None:
    """Drop torch's notes on where each node and tensor came from, which are of no use elsewhere."""
    graph = model.graph
    for node in graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()
    graph.metadata_props.clear()


def open_file(path: Path) -> Opened:
    """Open a file in ONNX Runtime, on the CPU, with as many threads as torch has.

    Raises:
        ExportError: The file is damaged or not ours, or a package is missing.
    """
    onnxruntime = package("onnxruntime", "ONNX", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own kinds have no common base
        raise ExportError(f"{path} cannot be opened as ONNX: {error}") from error
    metadata = session.get_modelmeta().custom_metadata_map

    def run(image: torch.Tensor) -> torch.Tensor:
        values: Any = session.run([OUTPUT], {INPUT: image.contiguous().numpy()})[0]
        return torch.from_numpy(values)

    return Opened(run, read_facts(metadata, str(path)))
