"""Recipes: everything that decides what a training run makes, as data.

A recipe is a TOML file (or the `recipe.json` that a run leaves), one table for each class here.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from sr_zoo.errors import OptionError, did_you_mean

T = TypeVar("T")

SHIPPED = Path(__file__).parent / "recipes"
PRECISIONS = ("float32", "bfloat16", "float16")
OPTIMIZERS = ("adam", "adamw", "sgd", "muon")
SAMPLERS = ("uniform", "equalised")


@dataclass(frozen=True)
class Degradation:
    """One way that LR patches are made.

    Attributes:
        name: Key of `sr_zoo.training.degradations.DEGRADATIONS`.
        weight: How often, relative to the others of the recipe.
        arguments: Of its function.
    """

    name: str
    weight: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """What is learned from.

    Attributes:
        train: Folders of HR images, looked through with their subfolders but for hidden ones, those
            of runs and those of `val`.
        lr: Folders with the LR images of `train`, in the same order, under the same relative names;
            empty to make LR images by MATLAB's bicubic.
        val: Folders or known data sets to validate on; empty for none.
        patch_size: Side of an HR patch in pixels.
        batch_size: Patches in a batch, over all processes together.
        degradations: How LR patches are made, one drawn for each patch; empty for MATLAB's bicubic
            on whole images, made once.
        sampler: ``"uniform"``, or ``"equalised"`` to see every class of texture equally often at
            first (`sr_zoo.training.sampling`).
        augment: Whether patches are flipped and rotated by quarter turns.
        workers: Processes that cut patches; 0 cuts them in the training process.
    """

    train: tuple[str, ...] = ()
    lr: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    patch_size: int = 128
    batch_size: int = 16
    degradations: tuple[Degradation, ...] = ()
    sampler: str = "uniform"
    augment: bool = True
    workers: int = 0


@dataclass(frozen=True)
class Loss:
    """One term of the loss.

    Attributes:
        name: Key of `sr_zoo.training.losses.LOSSES`.
        weight: What it is multiplied with.
        arguments: Of the loss's class.
    """

    name: str
    weight: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Optimizer:
    """How weights follow their gradients.

    Attributes:
        name: ``"adam"``, ``"adamw"``, ``"sgd"`` or ``"muon"``, which turns the momentum of each
            convolution into the nearest orthogonal matrix (Jordan et al., 2024; timm's, with steps
            as long as Adam's).
        lr: Learning rate at the start of the schedule.
        betas: Of Adam, which biases follow under Muon too; SGD takes the first as its momentum.
        weight_decay: As torch's optimisers take it.
        clip_norm: Longest gradient, as its L2 norm; None not to clip.
    """

    name: str = "adam"
    lr: float = 5e-4
    betas: tuple[float, ...] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip_norm: float | None = None


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes.

    Attributes:
        name: ``"cosine"``, ``"multistep"`` or ``"constant"``.
        minimum: Learning rate at the end of the cosine.
        milestones: Parts of the run, in (0, 1), after which ``"multistep"`` multiplies by `gamma`.
        gamma: See `milestones`.
        warmup: Iterations over which the rate rises linearly from a hundredth.
    """

    name: str = "cosine"
    minimum: float = 1e-6
    milestones: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)
    gamma: float = 0.5
    warmup: int = 0


@dataclass(frozen=True)
class Distillation:
    """A network to learn from, besides the HR images.

    Attributes:
        teacher: What `sr_zoo.load_model` takes: an id, a file, a folder, ``"hf-hub:owner/repo"``.
        weight: Of the L1 distance to the teacher's output.
        self_ensemble: Whether the teacher answers with its mean over eight flips and rotations.
    """

    teacher: str
    weight: float = 1.0
    self_ensemble: bool = False


@dataclass(frozen=True)
class Strategy:
    """What of a network runs on a batch, and what of it learns.

    Attributes:
        name: Key of `sr_zoo.training.strategies.STRATEGIES`.
        arguments: Of the strategy's class.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A training run as data.

    Attributes:
        model: Model name in the registry.
        scale: Upscaling factor.
        arguments: Constructor arguments of the network to change.
        start: Weights to start from: an id, a file, a folder or ``"hf-hub:owner/repo"``. Of another
            scale, those that fit; None for random weights.
        epochs: Passes over the images, one patch of each; counts where `iterations` is None.
        iterations: Batches to learn from.
        seed: Of weights, patches and everything else that is drawn.
        precision: Type of the forward pass: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` by
            autocast.
        channels_last: Whether feature maps are kept channels last, faster for convolutions.
        compile: Whether the network goes through `torch.compile`.
        ema: Decay of the average over past weights, which is what a run gives; 0 for none.
        log_every: Iterations between two lines of the log.
        save_every: Iterations between two saved states.
        validate_every: Iterations between two validations.
        data: What is learned from.
        losses: Terms of the loss.
        optimizer: How weights follow their gradients.
        schedule: How the learning rate changes.
        distillation: A teacher, or None.
        strategy: How a dynamic network learns; None to run all of it on every batch.
        stages: Changes to the recipe for runs one after another, each from the weights of the one
            before: tables of settings as `changed` takes them. Empty for one run.
    """

    model: str
    scale: int = 4
    arguments: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None
    epochs: int = 100
    iterations: int | None = None
    seed: int = 0
    precision: str = "float32"
    channels_last: bool = True
    compile: bool = False
    ema: float = 0.999
    log_every: int = 100
    save_every: int = 1000
    validate_every: int = 1000
    data: Data = field(default_factory=Data)
    losses: tuple[Loss, ...] = (Loss("l1"),)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    distillation: Distillation | None = None
    strategy: Strategy | None = None
    stages: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any], source: str = "recipe") -> Recipe:
        """Build a recipe from nested dictionaries.

        Args:
            record: As a TOML file gives it.
            source: What messages call it.

        Raises:
            OptionError: A key is unknown or missing, or a value is of another type or not allowed.
        """
        recipe = _build(cls, record, source, "")
        recipe.check(source)
        return recipe

    def to_mapping(self) -> dict[str, Any]:
        """Return nested dictionaries, lists and plain values that `from_mapping` takes."""
        return _without_none(asdict(self))

    def changed(self, changes: Mapping[str, Any], source: str = "recipe") -> Recipe:
        """Return the recipe with other values.

        Args:
            changes: Path such as ``"optimizer.lr"`` to value. A table for a section (``"data"``,
                ``"optimizer"``, ``"schedule"``) changes what it names; any other value is replaced.
            source: What messages call it.

        Raises:
            OptionError: As for `from_mapping`.
        """
        record = self.to_mapping()
        for path, value in changes.items():
            *tables, key = path.split(".")
            table = record
            for name in tables:
                table = table.setdefault(name, {})
                if not isinstance(table, dict):
                    raise OptionError(
                        f"{source}: {path!r} names no setting of a recipe: {name} is no table"
                    )
            section = not tables and key in SECTIONS and isinstance(value, Mapping)
            table[key] = {**table[key], **value} if section else value
        return Recipe.from_mapping(record, source)

    def check(self, source: str = "recipe") -> None:
        """Raise OptionError over the first value that no run can use."""
        positive = {
            "scale": self.scale,
            "epochs": self.epochs,
            "iterations": 1 if self.iterations is None else self.iterations,
            "log_every": self.log_every,
            "save_every": self.save_every,
            "validate_every": self.validate_every,
            "data.patch_size": self.data.patch_size,
            "data.batch_size": self.data.batch_size,
            "optimizer.lr": self.optimizer.lr,
            "optimizer.clip_norm": 1
            if self.optimizer.clip_norm is None
            else self.optimizer.clip_norm,
            "schedule.gamma": self.schedule.gamma,
        }
        not_negative = {
            "seed": self.seed,
            "data.workers": self.data.workers,
            "optimizer.weight_decay": self.optimizer.weight_decay,
            "schedule.minimum": self.schedule.minimum,
            "schedule.warmup": self.schedule.warmup,
        }
        for key, value in positive.items():
            if not 0 < value < math.inf:
                raise OptionError(f"{source}: {key} must be positive, got {value}")
        for key, value in not_negative.items():
            if not 0 <= value < math.inf:
                raise OptionError(f"{source}: {key} must not be negative, got {value}")
        if self.data.patch_size % self.scale:
            raise OptionError(
                f"{source}: data.patch_size (the side of an HR patch) must be a multiple of the "
                f"scale {self.scale}, got {self.data.patch_size}"
            )
        _check_schedule(source, self.schedule, self.optimizer.lr)
        if not 0 <= self.ema < 1:
            raise OptionError(f"{source}: ema must be at least 0 and less than 1, got {self.ema}")
        betas = self.optimizer.betas
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise OptionError(
                f"{source}: optimizer.betas must be two numbers of at least 0 and less than 1, "
                f"got {betas}"
            )
        for index, stage in enumerate(self.stages):
            replace(self, stages=()).changed(stage, f"{source}: stages[{index}]")
        if not self.losses:
            raise OptionError(f"{source}: losses must have at least one entry")
        _check_choice(source, "precision", self.precision, PRECISIONS)
        _check_choice(source, "data.sampler", self.data.sampler, SAMPLERS)
        _check_choice(source, "optimizer.name", self.optimizer.name, OPTIMIZERS)
        _check_choice(
            source, "schedule.name", self.schedule.name, ("cosine", "multistep", "constant")
        )


# tables that a recipe always has, and their settings
SECTIONS = {name for name, hint in get_type_hints(Recipe).items() if is_dataclass(hint)}


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        path: A TOML or JSON file, or the name of a recipe that comes with the library.

    Raises:
        OptionError: There is no such recipe, or it cannot be understood.
    """
    return Recipe.from_mapping(read_mapping(path), str(path))


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read the nested dictionaries of a recipe, not checked yet.

    Raises:
        OptionError: There is no such recipe, or it is neither TOML nor JSON.
    """
    file = Path(path)
    if not file.is_file():
        shipped = sorted(recipe.stem for recipe in SHIPPED.glob("*.toml"))
        if file.stem not in shipped:
            raise OptionError(
                f"There is no recipe {str(path)!r}.{did_you_mean(file.stem, shipped)} "
                f"Name a file, or one that comes with the library: {', '.join(shipped)}"
            )
        file = SHIPPED / f"{file.stem}.toml"
    try:
        text = file.read_text(encoding="utf-8")
        record: dict[str, Any] = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (ValueError, OSError) as error:
        raise OptionError(f"{path}: cannot be read as a recipe ({error})") from error
    return record


def _check_schedule(source: str, schedule: Schedule, lr: float) -> None:
    if schedule.name == "cosine" and schedule.minimum > lr:
        raise OptionError(
            f"{source}: schedule.minimum must be at most optimizer.lr, which is {lr}, got "
            f"{schedule.minimum}"
        )
    if not all(0 < milestone < 1 for milestone in schedule.milestones):
        raise OptionError(
            f"{source}: schedule.milestones must be parts of the run between 0 and 1, not "
            f"iterations, got {list(schedule.milestones)}"
        )


def _check_choice(source: str, key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise OptionError(
            f"{source}: {key} must be one of {', '.join(allowed)}, got {value!r}."
            f"{did_you_mean(value, allowed)}"
        )


def _without_none(value: Any) -> Any:
    """Return nested data without what is None, which TOML cannot say."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


def _build(cls: type[T], record: Any, source: str, where: str) -> T:
    """Build a dataclass from a dictionary whose every key it knows."""
    if not isinstance(record, Mapping):
        raise OptionError(f"{source}: {where or 'it'} must be a table, got {record!r}")
    hints = get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type] # only dataclasses come here
    prefix = f"{where}." if where else ""
    for key in record:
        if key not in known:
            raise OptionError(
                f"{source}: unknown key {prefix + str(key)!r}.{did_you_mean(str(key), known)} "
                f"{where or 'A recipe'} takes: {', '.join(known)}"
            )
    for name, item in known.items():
        needed = item.default is MISSING and item.default_factory is MISSING
        if needed and name not in record:
            raise OptionError(f"{source}: {prefix + name!r} is missing")
    values = {
        key: _convert(value, hints[key], source, prefix + key) for key, value in record.items()
    }
    return cls(**values)


def _convert(value: Any, hint: Any, source: str, where: str) -> Any:
    """Return a value as the type that a field is annotated with."""
    if is_dataclass(hint):
        return _build(hint, value, source, where)  # type: ignore[arg-type] # a class, not an object
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return None if value is None else _convert(value, inner[0], source, where)
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise OptionError(f"{source}: {where} must be a list, got {value!r}")
        return tuple(
            _convert(item, inner[0], source, f"{where}[{i}]") for i, item in enumerate(items)
        )
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise OptionError(f"{source}: {where} must be a table, got {value!r}")
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise OptionError(f"{source}: {where} must be of type {hint.__name__}, got {value!r}")
    return value
