"""Which network `Upscaler` runs, from what it was given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sr_zoo.api import create_model, load_model, means_weights
from sr_zoo.building import DEFAULT_SCALE, built_as_registered
from sr_zoo.errors import CheckpointError, OptionError
from sr_zoo.inference.runtimes.exported import ExportedNetwork, is_exported
from sr_zoo.inference.tiling import measure_halo
from sr_zoo.network import SRNetwork
from sr_zoo.registry import spec_of
from sr_zoo.weights.manifest import Bundled, Entry, load_manifest


def default_weights(scale: float) -> Entry:
    """Return the bundled weights that `upscale` uses at a scale when no model is named.

    The best on Set5 of those made for that scale, or for the nearest larger one; the output is then
    reduced. Beyond the largest, those of the largest; they are run several times.
    """
    manifest = load_manifest()
    scales = {e.scale for e in manifest.entries if isinstance(e.source, Bundled)}
    return manifest.bundled(_nearest(scales, scale))[0]


def find_network(model: str | Path | SRNetwork | None, scale: float | None) -> SRNetwork:
    """Return the network that a model's name, weight file, exported file or itself stands for.

    Args:
        model: As for `Upscaler`.
        scale: Wanted; of a model's scales the nearest larger one is taken, or else the largest.

    Raises:
        SRZooError: See `create_model`, `load_model` and `ExportedNetwork`.
    """
    if isinstance(model, SRNetwork):
        return model
    if not (model is None or isinstance(model, (str, Path))):
        raise OptionError(
            f"model must be a name, a file or a network of this library, got a "
            f"{type(model).__name__}; torch.compile is runtime='compile'"
        )
    wanted = DEFAULT_SCALE if scale is None else scale
    if model is not None and is_exported(model):
        return ExportedNetwork(model)
    if model is None:
        entry = default_weights(wanted)
        return create_model(entry.model, entry.scale, pretrained=entry.tag)
    if isinstance(model, str) and not means_weights(model):
        return create_model(model, _nearest(spec_of(model).variants[model].scales, wanted))
    return _load(model, scale)


def _load(model: str | Path, scale: float | None) -> SRNetwork:
    """Load weights, which bring their scale, by the wanted one where they fit several."""
    try:
        return load_model(model)
    except CheckpointError:
        if scale is None or scale % 1:
            raise
    return load_model(model, scale=int(scale))


@dataclass(frozen=True)
class Locality:
    """What tiles of a network need.

    Attributes:
        halo: LR pixels around a tile.
        grid: LR pixels that tiles start on multiples of.
        averages: Whether it averages over the whole image.
        attends: Whether it attends to pixels all over the image, so that tiles only come close.
        wraps: Whether its windows wrap around the image's borders.
        passes: For its averages.
    """

    halo: int
    grid: int
    averages: bool = False
    attends: bool = False
    wraps: bool = False
    passes: int = 1


def locality(network: SRNetwork) -> Locality:
    """Return what tiles of a network need.

    Raises:
        OptionError: Nothing is known of the network.
    """
    if isinstance(network, ExportedNetwork):
        facts = network.facts
        return Locality(facts.halo, facts.grid, averages=not facts.local)
    identity = network.identity
    if identity is None:
        raise OptionError(
            f"Tiling needs to know the network, and this {type(network).__name__} was built by "
            "hand; build it with create_model (sr_zoo.register_model makes a class of your own "
            "known), or pass tile=None"
        )
    spec = spec_of(identity.name)
    endless = spec.global_attention or spec.fading
    if endless or built_as_registered(identity):
        halo = spec.variants[identity.name].halo
    else:
        halo = measure_halo(network, spec.grid, wraps=spec.wraps)
    return Locality(
        halo,
        spec.grid,
        averages=spec.global_statistics,
        attends=spec.global_attention,
        wraps=spec.wraps,
        passes=spec.exact_passes,
    )


def _nearest(scales: set[int] | tuple[int, ...], wanted: float) -> int:
    """Return the smallest scale that reaches the wanted one, or the largest."""
    return min((scale for scale in scales if scale >= wanted), default=max(scales))
