"""Programs that coremltools turns into models of Core ML, for one size of image.

The converter runs on any system, Core ML on Apple's. A program for all sizes computes with them,
which the converter has few operators for; Apple's Neural Engine wants one size anyway.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sr_zoo.errors import OptionError
from sr_zoo.export import torch_export
from sr_zoo.export.exporting import ONE_SIZE, Exported, checked_name, write_compared
from sr_zoo.export.program import Source, trace_of
from sr_zoo.network import SRNetwork

SUFFIX = torch_export.SUFFIX


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
        program = torch.export.export(source.network, (torch.rand(1, 3, height, width),))
        program = program.run_decompositions({})
        _remove_aliases(program.graph_module)
    torch_export.save(program, replace(source.facts, size=f"{width}x{height}"), path)


def _remove_aliases(module: torch.fx.GraphModule) -> None:
    """Take out what hands a map on as it is, for which the converter has no operator."""
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten.alias.default:
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
    module.recompile()
