"""What callers must know of an architecture without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sr_zoo.network import SRNetwork


@dataclass(frozen=True)
class Paper:
    """Where an architecture was published.

    Attributes:
        title: As printed.
        venue: Conference or journal, for instance ``"ICML"``; ``"-"`` if unpublished.
        year: Of that venue.
        arxiv: Identifier such as ``"2402.03412"``, or None.
    """

    title: str
    venue: str
    year: int
    arxiv: str | None = None


@dataclass(frozen=True)
class Variant:
    """One named configuration of an architecture.

    Attributes:
        halo: LR pixels around an output pixel's position that can change it, at any scale of the
            variant, statistics over the whole image held fixed. `tests/test_halo.py` measures it.
        scales: Upscaling factors the variant is defined for.
        arguments: What differs from the constructor's defaults, without `scale`.
        scale_arguments: Further arguments for single scales, where a paper changes more than its
            upsampler between them.
    """

    halo: int
    scales: tuple[int, ...] = (2, 3, 4)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    scale_arguments: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def resolve(self, scale: int) -> dict[str, Any]:
        """Return the constructor's arguments at `scale`, those that have defaults left out."""
        return {"scale": scale, **self.arguments, **self.scale_arguments.get(scale, {})}


@dataclass(frozen=True)
class ArchSpec:
    """An architecture: its network class and everything one can ask without building it.

    A family's module ends in `SPEC`. Where the family has networks of another graph too (a
    training form beside the deployed one, a challenge's beside the paper's), theirs follow in the
    tuple `OTHER_FORMS`.

    Attributes:
        network: The class that every variant builds.
        variants: Model name to configuration.
        paper: The publication.
        tags: Out of `TAGS`.
        reference: Where the authors' code is (``"owner/repo"``), or None if there is none.
        reference_license: Licence of that code, as its repository states it.
        grid: Strides, pools and windows lie on multiples of this many LR pixels, counted from the
            image's top left corner; tiles must start on it to see the same cells.
        global_statistics: Whether some layer averages over the whole image, so that a tile alone
            cannot know its value.
        exact_passes: Passes over an image for those averages that bring its tiles within a level of
            8 bits; `benchmarks/tiling.py` measures it.
        global_attention: Whether pixels attend to others from all over the image, so that a tile
            only comes close to the untiled output; `halo` then counts everything else.
        fading: Whether what lies beyond `halo` still changes a pixel, from window to window ever
            less, so that a tile comes as close as rounding, and no closer.
        wraps: Whether windows wrap around the image's borders: a tile there takes its halo from the
            opposite one. Such a network resizes no pooled map.
        mixes_borders: Whether some layer mixes pixels at opposite borders of the image, so that a
            tile at one of them only comes close to the untiled output.
    """

    network: type[SRNetwork]
    variants: Mapping[str, Variant]
    paper: Paper
    tags: tuple[str, ...]
    reference: str | None = None
    reference_license: str | None = None
    grid: int = 1
    global_statistics: bool = False
    exact_passes: int = 1
    global_attention: bool = False
    fading: bool = False
    wraps: bool = False
    mixes_borders: bool = False

    @property
    def tile_exact(self) -> bool:
        """Whether tiles with their halo give the untiled output."""
        inexact = (self.global_statistics, self.global_attention, self.fading, self.mixes_borders)
        return not any(inexact)


TAGS = {
    "cnn": "convolutions only",
    "transformer": "self-attention over pixels, windows or channels",
    "moe": "mixture of experts",
    "attention": "spatial or channel attention gates",
    "distillation": "feature distillation: parts of the features leave the chain early",
    "dynamic": "effort depends on the image, patch or pixel",
    "mobile": "made for phones and other small devices",
    "reparameterisable": "branches that fuse into plain convolutions after training",
    "luminance": "super-resolves luminance only; chroma is interpolated",
    "baseline": "what papers compare with",
    "reading": "the library's reading of a paper without public code; claims no published number",
}
