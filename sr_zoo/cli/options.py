"""What several commands need to read their options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand

from sr_zoo.errors import OptionError
from sr_zoo.registry import MODELS
from sr_zoo.weights.manifest import load_manifest

if TYPE_CHECKING:
    import torch

# what ModelInfo.to_json gives is what scripts may rely on
JSON_HELP = (
    "{} of JSON with all that is known: name, family, scales, paper, tags, reference, "
    "reference_license, halo, tile_exact, weights (as in weights_manifest.json), costs (by scale: "
    "num_params, macs) and budgets."
)
DTYPES = ("float32", "bfloat16", "float16")


def model_names(incomplete: str) -> list[str]:
    """Return the models and ids of weights that a word may become, for shells to complete."""
    return [name for name in MODELS if name.startswith(incomplete)] + weight_ids(incomplete)


def weight_ids(incomplete: str) -> list[str]:
    """Return the ids of weights that a word may become, for shells to complete."""
    return [entry.id for entry in load_manifest().entries if entry.id.startswith(incomplete)]


def spreading(*options: str) -> type[TyperCommand]:
    """Return a command class whose `options` take all words up to the next option.

    Click's own options take one word each; ``--data Set5 Set14`` reads better than
    ``--data Set5 --data Set14``, which still works.
    """

    class Spreading(TyperCommand):
        def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # typer's own context class
            return super().parse_args(ctx, list(_spread(args, options)))

    return Spreading


def _spread(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    taking = ""
    for position, word in enumerate(words):
        if word in options:
            taking = word
            following = words[position + 1 : position + 2]
            if not following or following[0].startswith("-"):
                yield word  # without a value: click says so
        elif word.startswith("-"):
            taking = ""
            yield word
        else:
            yield from (taking, word) if taking else (word,)


def parse_tile(text: str) -> int | str | None:
    """Read a tile size: ``auto``, ``off`` (None) or a number of pixels.

    Raises:
        OptionError: It is none of these.
    """
    if text == "auto":
        return "auto"
    if text == "off":
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise OptionError(f"--tile must be auto, off or a number of pixels, got {text!r}")


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Read width and height, such as ``320x180``.

    Raises:
        OptionError: It is no such thing, or a side is 0.
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise OptionError(f"{option} must be width x height such as 320x180, got {text!r}")
    return int(width), int(height)


def parse_dtype(text: str) -> torch.dtype:
    """Read a floating-point type.

    Raises:
        OptionError: It is none that networks run in.
    """
    import torch

    if text not in DTYPES:
        raise OptionError(f"--dtype must be one of {', '.join(DTYPES)}, got {text!r}")
    chosen: torch.dtype = getattr(torch, text)
    return chosen
