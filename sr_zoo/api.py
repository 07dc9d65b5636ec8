"""Names and weights to ready networks: the one place where registry, specs and weights meet.

Importing it loads neither torch nor timm; building a network does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr_zoo.building import DEFAULT_SCALE, build, has_shapes_of, variant_arguments
from sr_zoo.errors import (
    CheckpointError,
    ModelArgumentError,
    OptionError,
    ScaleNotAvailableError,
    WeightsNotFoundError,
    did_you_mean,
)
from sr_zoo.paths import as_path
from sr_zoo.registry import MODELS, spec_of
from sr_zoo.weights.manifest import ON_HUB, load_manifest

if TYPE_CHECKING:
    import torch

    from sr_zoo.network import SRNetwork


def create_model(
    name: str | Path,
    scale: int | None = None,
    *,
    pretrained: bool | str = True,
    checkpoint: str | Path | None = None,
    fuse: bool = False,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    **overrides: Any,
) -> SRNetwork:
    """Build a network, with weights, in evaluation mode.

    Args:
        name: A model name (`list_models`), or what `load_model` takes: ``"hf-hub:owner/repo"``, a
            weight file, a folder that `save_pretrained` wrote.
        scale: Upscaling factor; None for 4, or for that of the file, folder or repository.
        pretrained: True for the manifest's default weights, a tag such as ``"official"`` or
            ``"sr_zoo"`` for particular ones, False for random weights.
        checkpoint: A weight file in the authors' layout or ours to load instead; every tensor must
            fit, and neither the file nor the manifest may call it another network's.
        fuse: Whether to return the deployed form, plain layers in place of the branches that only
            training needs (`sr_zoo.fuse`).
        device: Where the network goes; ``"auto"`` for CUDA if present, None for the CPU.
        dtype: Floating-point type of the weights; None for torch's default, float32 unless set.
        **overrides: Constructor arguments of the network to change.

    Returns:
        The network; `forward` takes (N, 3, H, W), RGB in [0, 1].

    Raises:
        UnknownModelError: No model has this name.
        ScaleNotAvailableError: The model is not defined at this scale, or `name` is of another.
        ModelArgumentError: The network takes no such argument, or not with this value, or not with
            pretrained weights.
        WeightsNotFoundError: No such weights are known, or `checkpoint` does not exist.
        WeightsIntegrityError: A weight file is not the one that the manifest names.
        CheckpointError: A weight file cannot be read, or does not fit the network or `scale`.
        DownloadError: Weights had to be fetched and could not be.
        DeviceError: `device` is not present.
        OptionError: `pretrained` is neither True, False nor a tag, or contradicts other arguments;
            or `checkpoint` is no path, or `dtype` no floating-point type.
    """
    name = str(name)
    _check_pretrained(pretrained)
    if means_weights(name):
        _check_exists(name)
        _check_only_source(name, pretrained, checkpoint, overrides)
        network = load_model(name, scale=scale)
    else:
        wanted = DEFAULT_SCALE if scale is None else scale
        network = _named(name, wanted, pretrained, checkpoint, overrides)
    if fuse:
        from sr_zoo.fusion import fuse as fused_form

        network = fused_form(network)
    from sr_zoo.devices import place

    return place(network, device, dtype)


def means_weights(name: str) -> bool:
    """Whether a name stands for weights (an id, file, folder or Hub repository), not for a model.

    Whether there are such weights is another question.
    """
    if name in MODELS:
        return False
    path = Path(name)
    if name.startswith(ON_HUB) or "." in name or len(path.parts) > 1:
        return True
    with suppress(OSError):  # what the system cannot look up, a file it is not
        return path.exists()
    return False


def _ids() -> list[str]:
    return [entry.id for entry in load_manifest().entries]


def _check_exists(name: str) -> None:
    """Raise if a file or folder is named, and there is none."""
    from sr_zoo.weights.cache import is_file

    if name in _ids() and not Path(name).exists():
        raise WeightsNotFoundError(
            f"{name!r} is the id of weights, not a model; sr_zoo.load_model({name!r}) loads them"
        )
    if not (name.startswith(ON_HUB) or is_file(Path(name)) or Path(name).is_dir()):
        raise WeightsNotFoundError(
            f"{name!r} is no model, and there is no such file or folder."
            f"{did_you_mean(name, _ids())} `sr-zoo list` or sr_zoo.list_models() names the models; "
            "sr_zoo.load_model takes the id of weights"
        )


def _check_pretrained(pretrained: object) -> None:
    if not isinstance(pretrained, bool | str) or pretrained == "":
        raise OptionError(
            f"pretrained={pretrained!r} names no weights; it is True, False or a tag such as "
            "'official'. A file goes into checkpoint=FILE"
        )


def _named(
    name: str,
    scale: int,
    pretrained: bool | str,
    checkpoint: str | Path | None,
    overrides: dict[str, Any],
) -> SRNetwork:
    """Build a model of the registry, with the weights asked for."""
    if pretrained and checkpoint is None and not overrides:
        _have_weights(name, scale, pretrained)
    if pretrained or checkpoint is not None:
        from sr_zoo.weights.loading import Uninitialised

        with Uninitialised():
            network = build(name, scale, overrides)
    else:
        network = build(name, scale, overrides)
    if checkpoint is not None:
        _check_single_source(pretrained, checkpoint)
        _load_file(network, as_path(checkpoint, "checkpoint"))
    elif pretrained:
        _load_pretrained(network, name, scale, pretrained, overrides)
    return network


def _check_only_source(
    name: str, pretrained: bool | str, checkpoint: str | Path | None, overrides: dict[str, Any]
) -> None:
    if pretrained is not True or checkpoint is not None or overrides:
        raise OptionError(
            f"{name!r} brings its own weights and arguments; pretrained, checkpoint and "
            f"{', '.join(overrides) or 'constructor arguments'} cannot be given beside it"
        )


def _check_single_source(pretrained: bool | str, checkpoint: str | Path) -> None:
    if isinstance(pretrained, str):
        raise OptionError(
            f"Both pretrained={pretrained!r} and checkpoint={str(checkpoint)!r} name weights; "
            "give one of them"
        )


def _load_file(network: SRNetwork, path: Path) -> None:
    from sr_zoo.weights.cache import is_file
    from sr_zoo.weights.loading import load_file_into

    if not is_file(path):
        raise WeightsNotFoundError(f"Checkpoint {str(path)!r} does not exist or is no file")
    load_file_into(network, path, key=_key_of_known(network, path))


def _key_of_known(network: SRNetwork, path: Path) -> str | None:
    """Return which state dict of a file the manifest takes for a network; None where it says none.

    Raises:
        CheckpointError: The manifest knows the very file, as another model's or scale's of this
            architecture.
    """
    from sr_zoo.weights.cache import sha256_of

    identity = network.identity
    known = load_manifest().by_sha256(sha256_of(path))
    known = tuple(e for e in known if spec_of(e.model).network is type(network))
    if identity is None or not known:
        return None
    for entry in known:
        named = (entry.model, entry.scale) == (identity.name, network.scale)
        if named or variant_arguments(entry.model, entry.scale) == identity.arguments:
            return entry.key
    raise CheckpointError(
        f"{path} is, by its SHA-256, the file of {', '.join(entry.id for entry in known)}, not of "
        f"{identity.name} x{network.scale}; sr_zoo.load_model(FILE) builds the file's own."
    )


def _have_weights(name: str, scale: int, pretrained: bool | str) -> None:
    """Fetch weights before a large network is built, to miss them at once where they are not."""
    variant_arguments(name, scale)
    if load_manifest().of_model(name):
        from sr_zoo.weights.loading import have

        have(load_manifest().find(name, scale, _tag(pretrained)))


def _tag(pretrained: bool | str) -> str | None:
    return pretrained if isinstance(pretrained, str) else None


def _load_pretrained(
    network: SRNetwork, name: str, scale: int, pretrained: bool | str, overrides: dict[str, Any]
) -> None:
    from sr_zoo.weights.loading import load_entry_into

    if pretrained is True and not any(True for _ in network.parameters()):
        return  # interpolation: there is nothing to load
    entry = load_manifest().find(name, scale, _tag(pretrained))
    if overrides and not has_shapes_of(network, name, scale):
        changed = ", ".join(f"{key}={value!r}" for key, value in overrides.items())
        raise ModelArgumentError(
            f"{changed} changes the shape of {name}, so the weights {entry.id!r} do not fit; "
            "pass pretrained=False to build it untrained"
        )
    load_entry_into(network, entry)


def _load_unnamed(path: Path, scale: int | None) -> SRNetwork:
    """Build the network that a file's tensors belong to, and load them."""
    from sr_zoo.fusion import fuse
    from sr_zoo.network import Identity
    from sr_zoo.weights.cache import sha256_of
    from sr_zoo.weights.checkpoint import read_checkpoint
    from sr_zoo.weights.detect import detect
    from sr_zoo.weights.loading import calibrate, fit

    entries = load_manifest().by_sha256(sha256_of(path))
    keys = {entry.key for entry in entries}
    checkpoint = read_checkpoint(path, key=keys.pop() if len(keys) == 1 else None)
    detection = detect(checkpoint, scale=scale, known_as=entries)
    network = detection.spec.network(**detection.arguments)
    network.identity = Identity(detection.name, detection.arguments)
    if detection.fused:
        network = fuse(network)
    state = fit(network, checkpoint, str(path))
    network.load_state_dict(state, strict=True)
    calibrate(network, checkpoint, str(path))
    return network.eval()


def load_model(
    source: str | Path,
    *,
    scale: int | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> SRNetwork:
    """Build the network that a weight file is for, and load it.

    Architecture, variant, scale and hyper-parameters come from the file's metadata where it has
    some, else from the names and shapes of its tensors.

    Args:
        source: A manifest id (``"rlfn_x4.official"``), the path of a weight file or of a folder
            that `save_pretrained` wrote, or ``"hf-hub:owner/repo"``.
        scale: Which upscaling factor to take where a file fits several, and refuse any other; None
            where it fits one.
        device: As for `create_model`.
        dtype: As for `create_model`.

    Returns:
        The network in evaluation mode.

    Raises:
        WeightsNotFoundError: Neither a known id nor an existing file.
        ScaleNotAvailableError: The weights of this id are not of `scale`.
        CheckpointError: The file is unsafe, damaged, of no architecture in the library, or not of
            `scale`.
        DownloadError: Weights had to be fetched and could not be.
        DeviceError: `device` is not present.
        OptionError: `source` is no path, or `dtype` no floating-point type.
    """
    text = str(source)
    if source == "":
        raise WeightsNotFoundError(
            "'' names nothing; `sr-zoo list` or sr_zoo.list_models() names the models, "
            "`sr-zoo weights list` the ids of weights."
        )
    from sr_zoo.devices import place
    from sr_zoo.weights.cache import is_file
    from sr_zoo.weights.hub import locate_saved

    given = as_path(source, "source")
    path = given if is_file(given) else locate_saved(source)
    if path is not None:
        return place(_load_unnamed(path, scale), device, dtype)
    known = _ids()
    if text in known:
        entry = load_manifest().by_id(text)
        if scale not in (None, entry.scale):
            others = ", ".join(e.id for e in load_manifest().of_model(entry.model))
            raise ScaleNotAvailableError(
                f"{text} is of scale {entry.scale}, not {scale!r}; "
                f"weights of {entry.model}: {others}"
            )
        return create_model(
            entry.model, entry.scale, pretrained=entry.tag, device=device, dtype=dtype
        )
    raise WeightsNotFoundError(
        f"{text!r} is neither a weight file nor a known id.{_rather(text, known)}"
    )


def network_of(model: str, scale: int | None = None) -> SRNetwork:
    """Return the network of a model's name, or of weights, at this scale and no other.

    Raises:
        SRZooError: See `create_model` for names, and `load_model` for weights.
    """
    if means_weights(model):
        return load_model(model, scale=scale)
    return create_model(model, scale)


def _rather(text: str, known: list[str]) -> str:
    """Say what might be meant by a text that is no id: a model, or one with a tag, or a typo."""
    model, _, tag = text.partition(".")
    if model not in MODELS:
        return f"{did_you_mean(text, known)} `sr-zoo weights list` shows all ids."
    ids = ", ".join(entry.id for entry in load_manifest().of_model(model))
    return (
        f" Ids of {model}: {ids or 'none'}. In Python, create_model({model!r}, SCALE, "
        f"pretrained={tag or True!r}) builds it by its name."
    )
