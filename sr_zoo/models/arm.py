"""ARM: any-time super-resolution, a supernet that runs each patch as wide as its edges ask for.

One set of weights holds networks of three widths, and bicubic interpolation is a fourth that costs
nothing. A table says which PSNR each width reaches on patches with as many edges, and a patch takes
the width whose PSNR, weighted by the budget, best pays for its multiply-adds. `forward` runs the
whole image at one width; `spend` cuts it into overlapping patches, runs each at its own, and
averages where they overlap.

Paper: Chen et al., ECCV 2022, arXiv:2203.10812. RGB in [0, 1]; ARM on CARN-M mean-shifts inside.

```mermaid
flowchart LR
    LR --> patches[patches 32x32, step 28] --> edges[edge score] --> choice{PSNR table, budget}
    choice --> bicubic --> blend
    choice --> narrow[narrow network] --> blend
    choice --> middle[middle network] --> blend
    choice --> full[full network] --> blend[average of overlaps] --> SR
```

Departs from the authors' pipeline in two points: patches that end at the image's border join the
last full ones, where theirs crops the image to full patches; and patches are averaged as they are,
where theirs rounds each to 8 bits first.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    CARNTrunk,
    EdgeTable,
    FSRCNNTrunk,
    MeanShift,
    PatchTable,
    SlimConv2d,
    StagedUpsampler,
    hooked_weight,
    run_stages,
)
from sr_zoo.blocks.cascade import CASCADE
from sr_zoo.blocks.hooked import share_weights
from sr_zoo.dynamic import Budget, DynamicNetwork, Effort, affordable
from sr_zoo.errors import OptionError
from sr_zoo.spec import ArchSpec, Paper, Variant

SCALE = 4
PATCH, STEP = 32, 28  # LR pixels
BATCH = 32  # patches run together
Self = TypeVar("Self", bound="AnyTimeNetwork")


@cache
def published_table(name: str) -> EdgeTable:
    """Return the table that belongs to the authors' weights; costs are in their count."""
    known = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))[name]
    return EdgeTable(
        widths=tuple(known["widths"]),
        cost=torch.tensor(known["cost"], dtype=torch.float64, device="cpu"),
        largest=known["largest_edge_score"],
        psnr=torch.tensor(known["psnr"], dtype=torch.float64, device="cpu"),
    )


def patch_starts(length: int) -> list[int]:
    """Return where patches start along a side; the last one ends where the image does."""
    last = max(length - PATCH, 0)
    return [*range(0, last, STEP), last]


def cut_patches(image: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
    """Return the patches of an image (1, 3, H, W), one after the other, and their corners."""
    tops, lefts = (patch_starts(side) for side in image.shape[-2:])
    places = [(top, left) for top in tops for left in lefts]
    patches = [image[..., top : top + PATCH, left : left + PATCH] for top, left in places]
    return torch.cat(patches), places


class AnyTimeNetwork(DynamicNetwork):
    """A supernet and the rule that gives every patch a width of it.

    Attributes:
        full: Feature width that the weights are of.
        width: Feature width that `forward` runs at.
        widths: Those that patches may take, smallest first; 0 is bicubic interpolation.
        sizes: Constructor arguments that are the same at all widths, besides the scale.
    """

    sizes: dict[str, Any]
    knob: ClassVar = ("eta", "what one dB is worth, in multiply-adds of a full-width patch")
    tiles_itself: ClassVar = True

    def __init__(
        self,
        scale: int,
        *,
        full: int,
        width: int | None,
        widths: Sequence[int] | None,
        published: str,
        groups: int = 1,
    ) -> None:
        if scale != SCALE:
            raise ValueError(f"scale must be {SCALE}, got {scale}")
        theirs = published_table(published)
        if widths is None:
            fits = theirs.widths[-1] == full and not any(w % groups for w in theirs.widths)
            widths = theirs.widths[1:] if fits else (full,)
        self.full = full
        self.width = full if width is None else width
        self.widths = (0, *widths)
        if not 0 < self.width <= full:
            raise ValueError(f"width must be from 1 to {full}, got {self.width}")
        if list(self.widths) != sorted({*self.widths}) or self.widths[-1] != full:
            raise ValueError(f"widths must increase, from 1 or more to {full}, got {list(widths)}")
        used = [self.width, *self.widths[1:]]
        if any(w % groups for w in used):
            raise ValueError(f"widths must be multiples of groups (={groups}), got {used}")
        self._published = theirs if self.widths == theirs.widths else None
        self._table: PatchTable | None = self._published
        super().__init__(scale)

    @property
    def table(self) -> PatchTable:
        """What the rule knows: the table of the authors' weights unless another is assigned.

        Raises:
            OptionError: There is none for these widths.
        """
        if self._table is None:
            raise OptionError(
                f"Which patches need which of the widths {self.widths[1:]} is not known yet; "
                "measure it on a folder of images (sr-zoo calibrate)"
            )
        return self._table

    @table.setter
    def table(self, table: PatchTable) -> None:
        if table.widths != self.widths:
            raise OptionError(
                f"The table is of the widths {table.widths}, the network of {self.widths}"
            )
        self._table = table

    def calibration(self) -> dict[str, Any]:
        if self._table is None or self._table is self._published:
            return {}
        return {"table": self._table.to_record()}

    def calibrate(self, measured: dict[str, Any]) -> None:
        self.table = PatchTable.from_record(measured["table"])

    @classmethod
    def budgets(cls) -> dict[str, str]:
        reach = "on each patch the cheapest width expected to reach this PSNR in dB"
        return super().budgets() | {"psnr": reach}

    def at(self: Self, width: int) -> Self:
        """Return the network of a smaller width; it shares this one's weights."""
        with torch.device("meta"):  # what is drawn costs time, and the caller random numbers
            narrow = type(self)(scale=self.scale, width=width, **self.sizes)
        for name, layer in list(narrow.named_modules()):
            share_weights(self.get_submodule(name), layer)
        return narrow.train(self.training)

    @abstractmethod
    def macs_per_pixel(self, width: int) -> float:
        """Return the multiply-adds of an LR pixel at a width."""

    def costs(self, height: int, width: int) -> tuple[float, float]:
        rows, columns = (len(patch_starts(side)) for side in (height, width))
        area = min(height, PATCH) * min(width, PATCH)
        return 0.0, rows * columns * area * self.macs_per_pixel(self.full)

    def spend(self, image: Tensor, budget: Budget) -> Effort:
        height, width = image.shape[-2:]
        patches, places = cut_patches(image)
        area = patches.shape[-2] * patches.shape[-1]
        costs = [area * self.macs_per_pixel(w) if w else 0.0 for w in self.widths]
        macs = torch.tensor(costs, dtype=torch.float64, device="cpu")
        full = self.costs(height, width)[1]
        kinds = self.table.describe(patches)
        if budget.kind == "share":
            chosen = self.table.choose_within(kinds, macs, affordable(budget.value, 0, full) * full)
        elif budget.kind == "psnr":
            chosen = self.table.choose_reaching(kinds, budget.value)
        else:
            chosen = self.table.choose(kinds, None if budget.kind == "auto" else budget.value)
        output = blend(self.enlarge(patches, chosen), places, height, width)
        painted = torch.zeros(height, width, dtype=torch.long, device="cpu")
        for (top, left), index in zip(places, chosen.tolist(), strict=True):
            painted[top : top + PATCH, left : left + PATCH] = index
        levels = tuple(f"width {w}" if w else "bicubic" for w in self.widths)
        return Effort(output, levels, {"patches": painted}, float(macs[chosen].sum()), full)

    def enlarge(self, patches: Tensor, chosen: Tensor) -> Tensor:
        """Run each patch at its own width: (N, 3, h, w) and (N,) to (N, 3, scale*h, scale*w)."""
        out = patches.new_empty(*patches.shape[:2], *(SCALE * side for side in patches.shape[2:]))
        for index, width in enumerate(self.widths):
            rows = (chosen == index).nonzero().flatten()
            network = self.at(width) if width and len(rows) else None
            for part in rows.split(BATCH):
                taken = patches[part]
                out[part] = network(taken) if network else interpolate(taken)
        return out


def interpolate(patches: Tensor) -> Tensor:
    """Enlarge patches without a network."""
    return F.interpolate(patches, scale_factor=float(SCALE), mode="bicubic")


def blend(patches: Tensor, places: list[tuple[int, int]], height: int, width: int) -> Tensor:
    """Average HR patches into a picture.

    Args:
        patches: (N, 3, h, w).
        places: Top left corner of each in LR pixels.
        height: Of the picture, in LR pixels.
        width: Likewise.

    Returns:
        (1, 3, scale*height, scale*width).
    """
    canvas = patches.new_zeros(1, 3, height * SCALE, width * SCALE)
    count = patches.new_zeros(1, 1, height * SCALE, width * SCALE)
    rows, columns = patches.shape[-2:]
    for patch, (top, left) in zip(patches, places, strict=True):
        area = (
            ...,
            slice(top * SCALE, top * SCALE + rows),
            slice(left * SCALE, left * SCALE + columns),
        )
        canvas[area] += patch
        count[area] += 1
    return canvas / count


class ARMFSRCNN(AnyTimeNetwork):
    """A slimmable FSRCNN; (N, 3, H, W) to (N, 3, 4*H, 4*W).

    Args:
        scale: Upscaling factor.
        channels: Full feature width.
        hidden: Width of the mapping layers, which stays.
        num_layers: Mapping layers, without activations between them.
        width: Feature width that `forward` runs at; None for the full one.
        widths: Those that patches may take, smallest first; None for the authors', or the full one
            alone where `channels` is not theirs.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 56,
        hidden: int = 12,
        num_layers: int = 4,
        width: int | None = None,
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__(scale, full=channels, width=width, widths=widths, published="arm_fsrcnn")
        conv = partial(SlimConv2d, width=self.width, full=channels)
        self.sizes = {"channels": channels, "hidden": hidden, "num_layers": num_layers}
        if hidden % channels == 0:
            raise ValueError(f"hidden (={hidden}) must be no multiple of channels (={channels})")
        self.trunk = FSRCNNTrunk(channels, hidden, num_layers, conv=conv)
        self.upsampler = nn.ConvTranspose2d(
            channels, 3, 9, stride=scale, padding=3, output_padding=1
        )

    def forward(self, x: Tensor) -> Tensor:
        deep = self.trunk(x)
        weight = hooked_weight(self.upsampler)[: self.width]
        return F.conv_transpose2d(deep, weight, self.upsampler.bias, SCALE, 3, 1)

    def macs_per_pixel(self, width: int) -> float:
        hidden, num_layers = self.sizes["hidden"], self.sizes["num_layers"]
        ends = 3 * 5**2 * width + width * 3 * 9**2
        return ends + 2 * width * hidden + num_layers * hidden**2 * 3**2


class ARMCARN(AnyTimeNetwork):
    """A slimmable CARN-M; (N, 3, H, W) to (N, 3, 4*H, 4*W).

    Args:
        scale: Upscaling factor.
        channels: Full feature width.
        groups: Of all 3x3 convolutions between the first and the last.
        width: Feature width that `forward` runs at, a multiple of `groups`; None for the full one.
        widths: As for `ARMFSRCNN`; where `groups` do not divide the authors', the full one alone.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        groups: int = 4,
        width: int | None = None,
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            scale, full=channels, width=width, widths=widths, published="arm_carn", groups=groups
        )
        conv = partial(SlimConv2d, width=self.width, full=channels)
        self.sizes = {"channels": channels, "groups": groups}
        self.mean_shift = MeanShift()
        self.trunk = CARNTrunk(channels, groups, conv=conv, mix=conv)
        self.upsampler = StagedUpsampler(
            channels, scale, conv=partial(conv, groups=groups), act=nn.ReLU
        )
        self.tail = conv(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.trunk(self.mean_shift(x))
        out = run_stages(deep, self.upsampler, self.tail, scale=self.scale)
        return self.mean_shift.restore(out)

    def macs_per_pixel(self, width: int) -> float:
        grouped = 3**2 * width**2 / self.sizes["groups"]
        block = CASCADE * (2 * grouped + width**2)
        mixes = sum(range(2, CASCADE + 2)) * width**2
        stages = 4 * grouped + 4 * 4 * grouped
        return 27 * width + CASCADE * (block + mixes) + mixes + stages + 16 * 27 * width


SPEC = ArchSpec(
    network=ARMFSRCNN,
    variants={"arm_fsrcnn": Variant(halo=7, scales=(SCALE,))},
    paper=Paper("ARM: Any-Time Super-Resolution Method", "ECCV", 2022, "2203.10812"),
    tags=("cnn", "dynamic"),
    reference="chenbong/ARM-Net",
)
OTHER_FORMS = (
    replace(SPEC, network=ARMCARN, variants={"arm_carn": Variant(halo=21, scales=(SCALE,))}),
)
