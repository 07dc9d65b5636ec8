"""Names and weights to ready networks: the one place where registry, specs and weights meet.

Importing it loads neither torch nor timm; building or describing a network does.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from inspect import Parameter, signature
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr_zoo.errors import (
    CheckpointError,
    ModelArgumentError,
    OptionError,
    ScaleNotAvailableError,
    WeightsNotFoundError,
    did_you_mean,
)
from sr_zoo.registry import MODELS, family_of, spec_of
from sr_zoo.weights.manifest import ON_HUB, Entry, load_manifest

if TYPE_CHECKING:
    import torch

    from sr_zoo.network import Identity, SRNetwork
    from sr_zoo.spec import Paper


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model.

    Attributes:
        name: As `create_model` takes it.
        family: Module in `sr_zoo.models`.
        scales: Upscaling factors it is defined for.
        paper: Where it was published.
        tags: Keys of `sr_zoo.spec.TAGS`.
        reference: Repository of the authors' code, or None.
        reference_license: Licence of that code.
        halo: LR pixels around an output pixel's position that can change it, statistics over the
            whole image held fixed.
        tile_exact: Whether tiles with that halo give the untiled output. False where a layer
            averages over the whole image, attends to all of it or mixes its opposite borders:
            averages are gathered in a first pass, and the output is close, not equal.
        weights: Known weight files, best default first.
        budgets: Kinds of budget that `Upscaler` takes for it, and what each says; empty for a
            network that always computes the same.
    """

    name: str
    family: str
    scales: tuple[int, ...]
    paper: Paper
    tags: tuple[str, ...]
    reference: str | None
    reference_license: str | None
    halo: int
    tile_exact: bool
    weights: tuple[Entry, ...]
    budgets: dict[str, str]


def list_models(
    pattern: str = "*",
    *,
    scale: int | None = None,
    tags: str | tuple[str, ...] = (),
    pretrained: bool | str = False,
) -> list[str]:
    """Return model names in alphabetical order.

    Args:
        pattern: Shell-style, for instance ``"rlfn*"``.
        scale: Only models defined at this upscaling factor; with `pretrained`, only those that
            have weights for it.
        tags: Only models that carry all of these, for instance ``"moe"`` (`sr_zoo.spec.TAGS`).
        pretrained: True for models with known weights only; a string for weights with that tag.

    Raises:
        OptionError: A tag is not known.
    """
    names = [name for name in sorted(MODELS) if fnmatchcase(name, pattern)]
    if pretrained:
        entries = load_manifest().entries
        known = {
            entry.model
            for entry in entries
            if pretrained in (True, entry.tag) and scale in (None, entry.scale)
        }
        names = [name for name in names if name in known]
    wanted = {tags} if isinstance(tags, str) else set(tags)
    if not wanted and scale is None:
        return names
    _check_tags(wanted)
    specs = {name: spec_of(name) for name in names}
    return [
        name
        for name, spec in specs.items()
        if wanted <= set(spec.tags) and (scale is None or scale in spec.variants[name].scales)
    ]


def _check_tags(wanted: set[str]) -> None:
    from sr_zoo.spec import TAGS

    for tag in sorted(wanted - TAGS.keys()):
        raise OptionError(f"Unknown tag {tag!r}; known are {', '.join(TAGS)}")


def model_info(name: str) -> ModelInfo:
    """Return what is known of a model, without building it.

    Raises:
        UnknownModelError: No model has this name.
    """
    spec = spec_of(name)
    variant = spec.variants[name]
    entries = load_manifest().of_model(name)
    return ModelInfo(
        name=name,
        family=family_of(name),
        scales=variant.scales,
        paper=spec.paper,
        tags=spec.tags,
        reference=spec.reference,
        reference_license=spec.reference_license,
        halo=variant.halo,
        tile_exact=spec.tile_exact,
        weights=tuple(sorted(entries, key=lambda e: (e.scale, not e.default, e.id))),
        budgets=spec.network.budgets(),
    )


def create_model(
    name: str | Path,
    scale: int = 4,
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
        scale: Upscaling factor; a file, folder or repository brings its own.
        pretrained: True for the manifest's default weights, a tag such as ``"official"`` or
            ``"sr_zoo"`` for particular ones, False for random weights.
        checkpoint: A weight file in the authors' layout or ours to load instead; every tensor must
            fit, and neither the file nor the manifest may call it another network's.
        fuse: Whether to return the deployed form, plain layers in place of the branches that only
            training needs (`sr_zoo.fuse`).
        device: Where the network goes; ``"auto"`` for CUDA if present, None for the CPU.
        dtype: Floating-point type of the weights; None for float32.
        **overrides: Constructor arguments of the network to change.

    Returns:
        The network; `forward` takes (N, 3, H, W), RGB in [0, 1].

    Raises:
        UnknownModelError: No model has this name.
        ScaleNotAvailableError: The model is not defined at this scale.
        ModelArgumentError: The network takes no such argument, or not with this value, or not with
            pretrained weights.
        WeightsNotFoundError: No such weights are known, or `checkpoint` does not exist.
        WeightsIntegrityError: A weight file is not the one that the manifest names.
        CheckpointError: A weight file cannot be read, or does not fit the network.
        DownloadError: Weights had to be fetched and could not be.
        DeviceError: `device` is not present.
        OptionError: `pretrained` is neither True, False nor a tag, or contradicts other arguments;
            or `dtype` is no floating-point type.
    """
    name = str(name)
    _check_pretrained(pretrained)
    if means_weights(name):
        _check_exists(name)
        _check_only_source(name, pretrained, checkpoint, overrides)
        network = load_model(name)
    else:
        network = _named(name, scale, pretrained, checkpoint, overrides)
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
            network = _build(name, scale, overrides)
    else:
        network = _build(name, scale, overrides)
    if checkpoint is not None:
        _check_single_source(pretrained, checkpoint)
        _load_file(network, Path(checkpoint))
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


def variant_arguments(name: str, scale: int) -> dict[str, Any]:
    """Return every constructor argument of a model at a scale, `scale` included.

    Raises:
        UnknownModelError: No model has this name.
        ScaleNotAvailableError: The model is not defined at this scale.
    """
    spec = spec_of(name)
    variant = spec.variants[name]
    scales = ", ".join(map(str, variant.scales))
    if not isinstance(scale, Integral):  # 4.0 equals 4, but no layer can be built with it
        raise ScaleNotAvailableError(
            f"scale={scale!r} is no whole number; {name} is defined at scales {scales}"
        )
    if scale not in variant.scales:
        raise ScaleNotAvailableError(
            f"{name} is not defined at scale {scale!r}; its scales: {scales}. "
            f"`sr-zoo list --scale {scale}` or sr_zoo.list_models(scale={scale}) names models that "
            "are."
        )
    parameters = signature(spec.network.__init__).parameters
    defaults = {
        key: parameter.default
        for key, parameter in parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }
    return {**defaults, **variant.resolve(int(scale))}


def built_as_registered(identity: Identity) -> bool:
    """Whether a network has its model's own arguments: none of another width or depth."""
    return identity.arguments == variant_arguments(identity.name, identity.arguments["scale"])


def _build(name: str, scale: int, overrides: dict[str, Any]) -> SRNetwork:
    """Build a network with random weights and note in it how it was built."""
    import torch

    from sr_zoo.network import Identity

    network_class = spec_of(name).network
    defaults = variant_arguments(name, scale)
    for key in overrides:
        if key not in defaults or key == "scale":
            raise ModelArgumentError(_unknown_argument(name, key, defaults))
    arguments = {**defaults, **overrides}
    try:
        _check_not_negative(overrides, defaults)
        if overrides:  # what does not fit together may show only where the network runs
            with torch.device("meta"), torch.no_grad():
                network_class(**arguments).eval()(torch.empty(1, 3, 64, 64))
        network = network_class(**arguments)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in overrides.items())
        reason = str(error).partition("\n")[0]  # behind it torch lists what its functions take
        raise ModelArgumentError(f"{name} cannot be built with {given}: {reason}") from error
    network.identity = Identity(name, arguments)
    return network.eval()


def _check_not_negative(overrides: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Raise ValueError for whole numbers below zero, which Python takes for none of something."""
    for key, value in overrides.items():
        numbers = value if isinstance(value, (list, tuple)) else (value,)
        measured = isinstance(defaults[key], float)  # rather than counted
        if not measured and any(isinstance(n, int) and n < 0 for n in numbers):
            raise ValueError(f"{key} must not be negative")


def _unknown_argument(name: str, key: str, defaults: dict[str, Any]) -> str:
    allowed = [argument for argument in defaults if argument != "scale"]
    hint = did_you_mean(key, allowed)
    return f"{name} takes no argument {key!r}.{hint} It takes: {', '.join(allowed) or 'none'}"


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
    if overrides and not _same_shapes(network, name, scale):
        changed = ", ".join(f"{key}={value!r}" for key, value in overrides.items())
        raise ModelArgumentError(
            f"{changed} changes the shape of {name}, so the weights {entry.id!r} do not fit; "
            "pass pretrained=False to build it untrained"
        )
    load_entry_into(network, entry)


def _same_shapes(network: SRNetwork, name: str, scale: int) -> bool:
    """Whether a network built with overrides still has the tensors of its variant."""
    import torch

    with torch.device("meta"):
        plain = _build(name, scale, {})
    ours, theirs = network.state_dict(), plain.state_dict()
    return {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


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
        OptionError: `dtype` is no floating-point type.
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

    path = Path(source) if is_file(Path(source)) else locate_saved(source)
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
