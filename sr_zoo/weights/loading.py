"""Tensors of a file into a network: renamed, compared, and only then copied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from safetensors.torch import load, save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sr_zoo.errors import CheckpointError, OptionError
from sr_zoo.network import SRNetwork
from sr_zoo.registry import MODELS, family_of, spec_of
from sr_zoo.weights.cache import Converted, is_file, locate, path_of
from sr_zoo.weights.checkpoint import Checkpoint, as_tuple, first, read_checkpoint
from sr_zoo.weights.convert import layouts_of, version_of
from sr_zoo.weights.manifest import Bundled, Entry

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


class Uninitialised(TorchFunctionMode):
    """Leaves weights as they were allocated: most of the time of building a network goes there.

    For networks of which every weight is loaded, or none is looked at.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def load_file_into(network: SRNetwork, path: str | Path, *, key: str | None = None) -> None:
    """Load a file in the authors' or in our layout into a network, every tensor of both.

    Args:
        network: Changed only if the whole file fits.
        path: A file that `read_checkpoint` reads.
        key: Which nested state dict of it.

    Raises:
        WeightsNotFoundError: There is no such file.
        CheckpointError: The file cannot be read, says that it is of another network, or a tensor is
            missing, unexpected, misshapen or mistyped.
    """
    checkpoint = read_checkpoint(path, key=key)
    _check_stated(network, checkpoint, str(path))
    try:
        state = fit(network, checkpoint, str(path))
    except CheckpointError as error:
        raise CheckpointError(f"{error}{_rather(network, checkpoint)}") from None
    network.load_state_dict(state, strict=True)
    calibrate(network, checkpoint, str(path))


def _check_stated(network: SRNetwork, checkpoint: Checkpoint, source: str) -> None:
    """Refuse weights of another network, scale or arguments that leave no trace in shapes."""
    name, stated = checkpoint.metadata.get("architecture"), checkpoint.arguments
    if name not in MODELS:
        return
    if spec_of(name).network is not type(network):
        _check_no_twin(network, checkpoint, source)
        return
    if network.identity is None:
        return
    own = network.identity.arguments
    differing = [key for key in stated if key in own and stated[key] != as_tuple(own[key])]
    if differing:
        theirs, ours = (
            ", ".join(f"{key}={arguments[key]!r}" for key in differing)
            for arguments in (stated, own)
        )
        raise CheckpointError(
            f"{source} says that it is of {name} with {theirs}, but this network has {ours}; "
            "sr_zoo.load_model(FILE) builds the file's own."
        )


def _check_no_twin(network: SRNetwork, checkpoint: Checkpoint, source: str) -> None:
    """Refuse another architecture's tensors that fit as they are, but are computed with otherwise.

    Only what a fused network has left is meant for another one, its plain form.
    """
    fused = checkpoint.metadata.get("fused") == "true"
    if not fused and not differences(shapes(checkpoint.tensors), shapes(network.state_dict())):
        raise CheckpointError(
            f"{source} says that it is of {checkpoint.metadata['architecture']}, which only looks "
            f"like {_described(network)}; sr_zoo.load_model(FILE) builds the file's own."
        )


def calibrate(network: SRNetwork, checkpoint: Checkpoint, source: str) -> None:
    """Give a network what `save_pretrained` wrote besides weights, if there is any.

    Raises:
        CheckpointError: It is damaged, or of another network.
    """
    if "calibration" not in checkpoint.metadata:
        return
    try:
        network.calibrate(json.loads(checkpoint.metadata["calibration"]))
    except (OptionError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: its calibration cannot be used: {error}") from error


def fit(network: SRNetwork, checkpoint: Checkpoint, source: str) -> dict[str, Tensor]:
    """Return a checkpoint's tensors under the network's names.

    Args:
        network: Not changed.
        checkpoint: In the authors' or our layout.
        source: What the message of an error calls the checkpoint.

    Raises:
        CheckpointError: A tensor is missing, unexpected, misshapen or mistyped.
    """
    own = network.state_dict()
    closest, complaint = -1, ""
    for tensors in checkpoint.readings():
        for state, problem in _layouts(tensors, type(network)):
            problems = (problem, differences(shapes(state), shapes(own)), _mistyped(state, own))
            if not any(problems):
                return state
            alike = len(state.keys() & own.keys())
            if alike > closest:
                closest, complaint = alike, "; ".join(filter(None, problems))
    raise CheckpointError(f"{source} does not fit {_described(network)}: {complaint}.")


def _described(network: SRNetwork) -> str:
    """Name a network for a message."""
    name = network.identity.name if network.identity else type(network).__name__
    return f"{name} x{network.scale}"


def _rather(network: SRNetwork, checkpoint: Checkpoint) -> str:
    """Say which models have the tensors that do not fit a network."""
    from sr_zoo.weights.detect import variants_with

    names = [f"{name} x{scale}" for name, scale in variants_with(checkpoint)]
    if not names or _described(network) in names:
        return ""
    return f" By its tensors it is {' or '.join(names)}; sr_zoo.load_model(FILE) builds its own."


def _mistyped(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """Say which weights are whole or complex numbers, which torch would cast without a word."""
    names = [
        f"{name} ({str(state[name].dtype).removeprefix('torch.')})"
        for name, tensor in own.items()
        if name in state and tensor.is_floating_point() and not state[name].is_floating_point()
    ]
    return f"{len(names)} mistyped: {first(names)}" if names else ""


def _layouts(
    tensors: dict[str, Tensor], network: type[SRNetwork]
) -> Iterator[tuple[dict[str, Tensor], str]]:
    """Yield the tensors as they are, then from each layout's names to ours, or why that fails."""
    yield tensors, ""
    for converter in layouts_of(network):
        unknown = converter.unknown(tensors)
        known = {name: tensors[name] for name in tensors.keys() - set(unknown)}
        problem = f"{len(unknown)} unexpected: {first(unknown)}" if unknown else ""
        try:
            yield converter.load(known), problem
        except CheckpointError as error:
            yield {}, str(error)


def shapes(state: Mapping[str, Tensor]) -> Shapes:
    """Return the shape of every tensor."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def differences(state: Shapes, own: Shapes) -> str:
    """Say which tensors are missing, unexpected or misshapen; empty where all fit."""
    # torch fills in how many batches a normalisation has seen; not every file says it
    missing = [n for n in own if n not in state and not n.endswith(".num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    misshapen = [
        f"{name} ({'x'.join(map(str, state[name]))} instead of {'x'.join(map(str, shape))})"
        for name, shape in own.items()
        if name in state and state[name] != shape
    ]
    groups = (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
    return "; ".join(f"{len(names)} {kind}: {first(names)}" for kind, names in groups if names)


def have(entry: Entry) -> None:
    """Fetch the checkpoint of a manifest entry, unless a file is here, in whichever layout.

    Such a file is not read yet: loading verifies it.

    Raises:
        DownloadError: It could not be fetched.
        WeightsIntegrityError: It is not the file that the manifest names.
        CheckpointError: The cache cannot be read.
    """
    converted = Converted(entry, version_of(family_of(entry.model)))
    if not is_file(path_of(entry)) and not converted.is_here():
        locate(entry)


def load_entry_into(network: SRNetwork, entry: Entry) -> None:
    """Load the checkpoint of a manifest entry; fetches it when it is not here yet.

    Raises:
        DownloadError: It could not be fetched.
        WeightsIntegrityError: It is not the file that the manifest names.
        CheckpointError: It does not fit the network.
    """
    if isinstance(entry.source, Bundled):
        return load_file_into(network, locate(entry), key=entry.key)
    converted = Converted(entry, version_of(family_of(entry.model)))
    content = converted.read()
    own = network.state_dict()
    state = load(content) if content else {}
    if differences(shapes(state), shapes(own)):
        checkpoint = read_checkpoint(locate(entry), key=entry.key)
        state = fit(network, checkpoint, entry.id)
        metadata = {"id": entry.id, "source_sha256": entry.sha256}
        converted.write(save({n: t.contiguous() for n, t in state.items()}, metadata))
    for name, tensor in state.items():  # load_state_dict compares again, and takes twice as long
        own[name].copy_(tensor)
    return None
