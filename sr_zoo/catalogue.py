"""What is known of the models, told without building any."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sr_zoo.errors import OptionError
from sr_zoo.registry import MODELS, family_of, spec_of
from sr_zoo.weights.manifest import Entry, load_manifest

if TYPE_CHECKING:
    from sr_zoo.spec import Paper


@dataclass(frozen=True)
class Cost:
    """What a network takes, whatever the machine; see `sr_zoo.evaluation.complexity`.

    Attributes:
        num_params: Learned parameters.
        macs: Multiply-adds for an output of 1280x720 pixels.
    """

    num_params: int
    macs: int


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
        costs: By scale, for scales with known weights, whose entries say it.
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
    costs: dict[int, Cost]
    budgets: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the attributes in types of JSON; scales that are keys become text."""
        return {
            **vars(self),
            "scales": list(self.scales),
            "paper": vars(self.paper),
            "tags": list(self.tags),
            "weights": [entry.to_json() for entry in self.weights],
            "costs": {str(scale): vars(cost) for scale, cost in self.costs.items()},
        }


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
    costs = {entry.scale: Cost(entry.num_params, entry.macs) for entry in entries}
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
        costs=dict(sorted(costs.items())),
        budgets=spec.network.budgets(),
    )
