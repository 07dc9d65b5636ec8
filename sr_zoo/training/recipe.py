"""Recipes: everything that decides what a training run makes, as data.

A recipe is a TOML file (or the `recipe.json` that a run leaves), one table for each class here.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from sr_zoo.errors import OptionError, did_you_mean
from sr_zoo.training.limits import check_values
from sr_zoo.training.tables import build, without_none

SHIPPED = Path(__file__).parent / "recipes"


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
            empty to make LR images by MATLAB's bicubic, or by `degradations`.
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
        warmup: Iterations over which the rate rises linearly from a hundredth; fewer than the run
            has.
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
        recipe = build(cls, record, source)
        recipe.check(source)
        return recipe

    def to_mapping(self) -> dict[str, Any]:
        """Return nested dictionaries, lists and plain values that `from_mapping` takes."""
        return without_none(asdict(self))

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
        check_values(self, source)


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
