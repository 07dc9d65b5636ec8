"""Programs of torch.export (.pt2), which torch alone runs and compiles."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch.export import ExportedProgram

from sr_zoo.errors import ExportError
from sr_zoo.export.facts import Facts, read_facts
from sr_zoo.export.program import Source
from sr_zoo.export.quiet import quiet
from sr_zoo.export.running import Opened

SUFFIX = ".pt2"


def write(source: Source, path: Path) -> None:
    """Write a network to a file.

    Raises:
        ExportError: It cannot be traced.
    """
    save(source.program, source.facts, path)


def save(program: ExportedProgram, facts: Facts, path: Path) -> None:
    """Write a program and what is known of its network."""
    content = io.BytesIO()  # to a file, torch reports a full disk in its own words
    torch.export.save(program, content, extra_files=facts.as_text())
    path.write_bytes(content.getvalue())


def open_file(path: Path) -> Opened:
    """Open a file on the CPU.

    Raises:
        ExportError: The file is damaged or not ours.
    """
    told = dict.fromkeys(Facts("", 1, 0, 1, True, 0).as_text(), "")
    try:
        with quiet("torch.export"):  # of deprecations inside, and of what is raised below
            program = torch.export.load(path, extra_files=told)
    except Exception as error:  # damaged archives raise errors of many kinds
        reason = str(error).partition(". ")[0]  # behind it torch points to what it has logged
        raise ExportError(f"{path} cannot be opened as a torch.export program: {reason}") from error
    module = program.module()

    def run(image: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return module(image)

    return Opened(run, read_facts(told, str(path)))
