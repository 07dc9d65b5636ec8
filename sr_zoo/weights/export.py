"""Weights for other tools: under the authors' tensor names, or ours."""

from __future__ import annotations

import uuid
from pathlib import Path

import torch
from safetensors.torch import save_file

from sr_zoo.errors import CheckpointError
from sr_zoo.registry import spec_of
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.loading import load_entry_into
from sr_zoo.weights.manifest import Entry


def export_entry(entry: Entry, path: Path, layout: str) -> None:
    """Write the weights of a manifest entry to a file.

    Args:
        entry: Fetched when it is not on this machine.
        path: ``.safetensors``, or anything else for a file as `torch.save` writes it; never there
            in part.
        layout: ``"official"`` or ``"ours"``.

    Raises:
        CheckpointError: The model has no layout but ours.
    """
    spec = spec_of(entry.model)
    network = spec.network(**spec.variants[entry.model].resolve(entry.scale))
    load_entry_into(network, entry)
    state = network.state_dict()
    if layout == "official":
        converter = converter_of(spec.network)
        if converter is None:
            raise CheckpointError(f"{entry.model} has no layout but ours; use --layout ours")
        state = converter.save(state)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    temporary = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        if path.suffix == ".safetensors":
            save_file(state, temporary, metadata={"id": entry.id, "license": str(entry.license)})
        else:
            torch.save(state, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
