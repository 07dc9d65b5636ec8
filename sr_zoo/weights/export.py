"""Weights for other tools: under the authors' tensor names, or ours."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import torch
from safetensors.torch import save

from sr_zoo.atomic import write_atomically
from sr_zoo.errors import CheckpointError
from sr_zoo.weights.card import Facts
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.hub import as_safetensors
from sr_zoo.weights.manifest import Entry

SUFFIXES = (".safetensors", ".pth")


def export_entry(entry: Entry, path: Path, layout: str) -> None:
    """Write the weights of a manifest entry to a file.

    Args:
        entry: Fetched when it is not on this machine.
        path: ``.safetensors``, or ``.pth`` for a file as `torch.save` writes it; never there in
            part.
        layout: ``"official"`` or ``"ours"``.

    Raises:
        CheckpointError: The model has no layout but ours, or the file ends otherwise.
        FileWriteError: The file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            f"{path} does not end in {' or '.join(SUFFIXES)}; sr-zoo export writes ONNX and other "
            "programs"
        )
    from sr_zoo.api import create_model

    network = create_model(entry.model, entry.scale, pretrained=entry.tag)
    state, facts = network.state_dict(), Facts.of(entry)
    if layout == "official":
        converter = converter_of(type(network))
        if converter is None:
            raise CheckpointError(f"{entry.model} has no layout but ours; use --layout ours")
        state = converter.save(state)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    if path.suffix == ".pth":
        stream = BytesIO()
        torch.save(state, stream)
        content = stream.getvalue()
    elif layout == "ours":
        content = as_safetensors(network, facts)
    else:
        content = save(state, metadata=facts.stated)
    write_atomically(path, content)
