"""From a network to a program of torch.export that takes any batch, height and width."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.export import Dim, ExportedProgram

# private, but the only way to a program for all sizes: without it, tracing notes where layouts
# differ for sides of one cell, and the program refuses those
from torch.fx.experimental import _config as tracing

from sr_zoo.blocks.hooked import copy_of
from sr_zoo.errors import ExportError
from sr_zoo.export.facts import Facts
from sr_zoo.network import SRNetwork, weight_of

EXAMPLE = (2, 3, 48, 56)  # no two sides alike, so that tracing takes none for another


@dataclass(frozen=True)
class Source:
    """What a file is made of.

    Attributes:
        network: On the CPU, in float32 and evaluation mode, fused.
        facts: What the file shall say of it.
    """

    network: SRNetwork
    facts: Facts

    @cached_property
    def program(self) -> ExportedProgram:
        """The network as traced by `capture`, once for all files that are made of it."""
        return capture(self.network)


def capture(network: SRNetwork) -> ExportedProgram:
    """Trace a network, in evaluation mode, for every batch, height and width.

    Raises:
        ExportError: Something in the network depends on the size in a way that no graph can hold.
    """
    weight = weight_of(network)
    sizes = {0: Dim("batch", min=1), 2: Dim("height", min=1), 3: Dim("width", min=1)}
    name = network.identity.name if network.identity else type(network).__name__
    # weights in channels_last memory, as PyTorch's runtime leaves them, bind sizes to that layout
    plain = copy_of(network).eval().to(memory_format=torch.contiguous_format)
    with trace_of(name, "all sizes at once"), tracing.patch(backed_size_oblivious=True):  # type: ignore[attr-defined] # added to the module when it is imported
        program = torch.export.export(
            plain,
            (torch.rand(EXAMPLE, device=weight.device, dtype=weight.dtype),),
            dynamic_shapes=(sizes,),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    _remove_size_checks(program)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


@contextmanager
def trace_of(model: str, sizes: str) -> Iterator[None]:
    """Let torch trace a network, without gradients; say in one sentence where it cannot.

    Raises:
        ExportError: Something inside was not to be traced, for the first reason that torch gives.
    """
    try:
        with torch.no_grad():
            yield
    except Exception as error:  # torch raises errors of many kinds
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ExportError(f"{model} cannot be traced for {sizes}: {reason}") from error


def _remove_size_checks(program: ExportedProgram) -> None:
    """Take out what tracing deferred to run time: it refuses sizes that the graph is right for.

    The checks are about memory layouts that would have been chosen otherwise, as for a map of one
    cell. That the outputs are right there too is what verification is for.
    """
    module = program.graph_module
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten._assert_scalar.default:
            module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()
