"""Programs that coremltools turns into models of Core ML, for one size of image.

The converter runs on any system, Core ML on Apple's. A program for all sizes computes with them,
which the converter has few operators for; Apple's Neural Engine wants one size anyway.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sr_zoo.errors import OptionError
from sr_zoo.export import torch_export
from sr_zoo.export.exporting import ONE_SIZE, Exported, checked_name, write_compared
from sr_zoo.export.program import Source, trace_of
from sr_zoo.network import SRNetwork

SUFFIX = torch_export.SUFFIX
ATEN = torch.ops.aten
# operators that the converter has no lowering for, or not with the arguments that torch leaves out
SPELT_OUT = (ATEN.addcmul, ATEN.channel_shuffle, ATEN.hardtanh, ATEN.lerp, ATEN.__or__)


def export_coreml_ready(
    network: SRNetwork, path: str | Path, *, size: tuple[int, int], verify: bool = True
) -> Exported:
    """Write a network to a file for ``coremltools.convert(torch.export.load(path))``.

    The network is fused, traced for one image of one size, and reduced to the core operators of
    torch. The file is compared with the network before it is kept.

    Args:
        network: Of `create_model` or `load_model`; it is not changed.
        path: File to write, named ``*.pt2``; replaced if it is there.
        size: Width and height of the input in pixels.
        verify: Whether to compare.

    Raises:
        OptionError: A side is not positive, or the network is none of this library.
        ExportError: The network cannot be traced, the file is named otherwise, the folder is
            missing, or the file does not compute what the network does.
        FileWriteError: The folder is not writable, or the disk is full.
    """
    width, height = size
    if min(size) < 1:
        raise OptionError(f"size must be a width and a height of at least 1, got {size}")
    return write_compared(
        network,
        checked_name(path, SUFFIX),
        partial(_write, height=height, width=width),
        torch_export.open_file,
        to=ONE_SIZE,
        sizes=((1, height, width),) if verify else (),
    )


def _write(source: Source, path: Path, *, height: int, width: int) -> None:
    with trace_of(source.facts.model, f"{width}x{height}"):
        image = torch.rand(1, 3, height, width)
        program = torch.export.export(source.network, (image,)).run_decompositions({})
        module = program.module()
        _fold_constants(module)
        program = torch.export.export(module, (image,)).run_decompositions(
            torch._decomp.get_decompositions(SPELT_OUT)
        )
        _tidy(program.graph_module)
    torch_export.save(program, replace(source.facts, size=f"{width}x{height}"), path)


def _fold_constants(module: torch.fx.GraphModule) -> None:
    """Keep the results of what neither pixels nor weights decide, instead of computing them.

    Such are the places of pixels, which the converter would compute in floating point.
    """
    known: dict[torch.fx.Node, Any] = {}
    for node in module.graph.nodes:
        if node.op == "call_function" and known.keys() >= set(node.all_input_nodes):
            arguments = torch.fx.map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*arguments[0], **arguments[1])
    for index, (node, value) in enumerate(known.items()):
        if isinstance(value, torch.Tensor) and not known.keys() >= set(node.users):
            module.register_buffer(f"constant_{index}", value, persistent=False)
            with module.graph.inserting_before(node):
                node.replace_all_uses_with(module.graph.get_attr(f"constant_{index}"))
    module.graph.eliminate_dead_code()
    module.recompile()


def _tidy(module: torch.fx.GraphModule) -> None:
    """Take out results that nothing reads, and what hands a map on as it is."""
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten.alias.default:
            node.replace_all_uses_with(node.args[0])
    module.graph.eliminate_dead_code()
    module.recompile()
