"""The networks to measure, from whatever a user calls them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from sr_zoo.api import create_model, load_model
from sr_zoo.building import DEFAULT_SCALE
from sr_zoo.devices import pick_device
from sr_zoo.errors import OptionError, SRZooError, WeightsNotFoundError
from sr_zoo.inference.runtimes.exported import ExportedNetwork, is_exported
from sr_zoo.network import SRNetwork
from sr_zoo.registry import MODELS
from sr_zoo.weights.cache import is_here
from sr_zoo.weights.manifest import ON_HUB, Entry, load_manifest


@dataclass(frozen=True)
class Candidate:
    """A network to measure.

    Attributes:
        label: As tables call it; unique among the candidates of one scale.
        network: In evaluation mode.
        entry: Where its weights stand in the manifest, if they do.
    """

    label: str
    network: SRNetwork
    entry: Entry | None = None

    @property
    def scale(self) -> int:
        """Upscaling factor."""
        return self.network.scale

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the network's class, arguments and weights."""
        identity = self.network.identity
        arguments = sorted(identity.arguments.items()) if identity else []
        digest = hashlib.sha256(f"{type(self.network).__qualname__}{arguments}".encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().float().cpu().numpy().tobytes())
        return digest.hexdigest()


def find_candidates(
    names: Sequence[str],
    scales: Sequence[int] = (),
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> tuple[list[Candidate], list[str]]:
    """Load networks by what users call them.

    Args:
        names: Each a model name (``"rlfn"``), with a tag (``"rlfn.official"``), a manifest id
            (``"rlfn_x4.official"``), a weight file (``"rlfn=file.pth"`` where it does not tell its
            network), a folder, ``"hf-hub:owner/repo"`` or an exported file.
        scales: Upscaling factors for model names, 4 if there are none. What fixes its own factor is
            left out where that is not among them.
        device: As for `create_model`; exported files stay on the CPU where it is ``"auto"``.
        dtype: As for `create_model`.

    Returns:
        The networks, and a sentence for each that could not be had.

    Raises:
        OptionError: None could be had, for the reasons in the message.
        DeviceError: There is no such device here.
    """
    place = pick_device(device)
    candidates: list[Candidate] = []
    problems: list[str] = []
    for load in (load for name in names for load in _loaders(name, scales)):
        try:
            candidate = load()
            if scales and candidate.scale not in scales:
                wanted = ", ".join(map(str, scales))
                problems.append(
                    f"{candidate.label} left out: its scale is {candidate.scale}, not {wanted}."
                )
                continue
            if not isinstance(candidate.network, ExportedNetwork):
                candidate.network.to(device=place, dtype=dtype)
            elif str(device) not in ("auto", "cpu") or dtype not in (None, torch.float32):
                problems.append(f"{candidate.label} runs in float32 on the CPU only.")
                continue
            candidates.append(_distinct(candidate, candidates))
        except SRZooError as error:
            problems.append(str(error))
    if not candidates:
        raise OptionError(
            "; ".join(p.rstrip(".") for p in problems) or "No model to measure; name at least one."
        )
    return candidates, problems


def known_weights() -> list[str]:
    """Return the ids of all weights in the manifest whose files are on this machine."""
    return [entry.id for entry in load_manifest().entries if is_here(entry)]


def _loaders(name: str, scales: Sequence[int]) -> list[Callable[[], Candidate]]:
    model, _, file = name.partition("=")
    if model in MODELS and file:
        return [
            partial(_from_file, model, Path(file), scale) for scale in scales or (DEFAULT_SCALE,)
        ]
    if is_exported(name):
        return [partial(_exported, Path(name))]
    model, _, tag = name.partition(".")
    if name in MODELS or (model in MODELS and not Path(name).exists()):
        factors = scales or (DEFAULT_SCALE,)
        return [partial(_named, name, model, tag, scale) for scale in factors]
    return [partial(_other, name)]


def _named(label: str, model: str, tag: str, scale: int) -> Candidate:
    network = create_model(model, scale, pretrained=tag or True)
    try:
        entry = load_manifest().find(model, scale, tag or None)
    except WeightsNotFoundError:  # interpolation has none
        entry = None
    return Candidate(label, network, entry)


def _from_file(model: str, path: Path, scale: int) -> Candidate:
    return Candidate(path.stem, create_model(model, scale, checkpoint=path))


def _exported(path: Path) -> Candidate:
    return Candidate(path.name, ExportedNetwork(path))


def _other(name: str) -> Candidate:
    entries = {entry.id: entry for entry in load_manifest().entries}
    entry = entries.get(name)
    label = name if entry or name.startswith(ON_HUB) else Path(name).stem
    return Candidate(label, load_model(name), entry)


def _distinct(candidate: Candidate, others: Sequence[Candidate]) -> Candidate:
    taken = {other.label for other in others if other.scale == candidate.scale}
    number, label = 1, candidate.label
    while label in taken:
        number += 1
        label = f"{candidate.label} ({number})"
    return replace(candidate, label=label)
