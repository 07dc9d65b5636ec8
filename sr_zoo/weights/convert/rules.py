"""The one engine that renames someone else's tensors to ours, and ours back to theirs.

A rule is a pair of module paths, theirs and ours, such as
``("block_{i+1}.c5", "body.{i}.project")``. A path matches the start of a tensor's name, whole
components only; what follows (``.weight``) is kept. ``{i}`` stands for an integer, ``{i+1}`` for
that integer plus one. The first rule that matches decides. Because both sides are patterns of the
same kind, every rule runs in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from sr_zoo.errors import CheckpointError

Rule = tuple[str, str]
_PLACEHOLDER = re.compile(r"\{(\w+?)(?:([+-])(\d+))?\}")


def nest(theirs: str, ours: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules of a block, moved to where a network holds that block."""
    return tuple((_join(theirs, a), _join(ours, b)) for a, b in rules)


def _join(path: str, name: str) -> str:
    return ".".join(part for part in (path, name) if part)


def _compile(pattern: str) -> tuple[re.Pattern[str], dict[str, int]]:
    """Return a regular expression for the start of a name, and each placeholder's offset."""
    offsets: dict[str, int] = {}
    regex = ""
    end = 0
    for match in _PLACEHOLDER.finditer(pattern):
        name, sign, offset = match.groups()
        regex += re.escape(pattern[end : match.start()])
        regex += rf"(?P={name})" if name in offsets else rf"(?P<{name}>\d+)"
        offsets[name] = int(f"{sign or '+'}{offset or 0}")
        end = match.end()
    regex += re.escape(pattern[end:])
    return re.compile(regex + r"(?=\.|$)"), offsets


class _Direction:
    """All rules of a converter in one direction."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = list(rules)
        self.rules = [(*_compile(source), target) for source, target in rules]
        self.kinds = [re.sub(r"\d+", "#", source) for source, _ in rules]

    def rename(self, name: str) -> str | None:
        for regex, offsets, target in self.rules:
            match = regex.match(name)
            if match is None:
                continue
            values = {k: int(v) - offsets[k] for k, v in match.groupdict().items()}
            return _fill(target, values) + name[match.end() :]
        return None

    def kind_of(self, name: str) -> str | None:
        """Return the path of the rule that a name falls under, numbers left out."""
        matches = (
            kind for kind, rule in zip(self.kinds, self.rules, strict=True) if rule[0].match(name)
        )
        return next(matches, None)


def _fill(pattern: str, values: Mapping[str, int]) -> str:
    def number(match: re.Match[str]) -> str:
        name, sign, offset = match.groups()
        return str(values[name] + int(f"{sign or '+'}{offset or 0}"))

    return _PLACEHOLDER.sub(number, pattern)


@dataclass(frozen=True)
class Reshape:
    """Tensors that hold the same numbers in another shape, told apart by our name.

    Attributes:
        ours: Regular expression that our full tensor name matches.
        load: Their tensor to ours.
        save: Our tensor to theirs.
    """

    ours: str
    load: Callable[[Tensor], Tensor]
    save: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Converter:
    """How the authors' checkpoints of one architecture family become ours.

    Attributes:
        rules: Ordered pairs of module paths, theirs and ours.
        ignore: Regular expressions for their tensors that are no weights of ours: index tables,
            masks, constants, dead branches.
        reshapes: Tensors whose shape differs.
        joined: Tensors of ours that they keep in pieces, by regular expressions for our name, with
            the number of pieces. The rules give piece 0 our name and ``.0``, and so on; pieces are
            joined along the first axis, in which they are equal.
    """

    rules: tuple[Rule, ...]
    ignore: tuple[str, ...] = ()
    reshapes: tuple[Reshape, ...] = field(default=())
    joined: tuple[tuple[str, int], ...] = ()

    @cached_property
    def _to_ours(self) -> _Direction:
        return _Direction(self.rules)

    @cached_property
    def _to_theirs(self) -> _Direction:
        return _Direction((ours, theirs) for theirs, ours in self.rules)

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return the names that are neither ignored nor have a rule."""
        return [n for n in names if not self._ignores(n) and self._to_ours.rename(n) is None]

    def familiarity(self, names: Collection[str], *, ours: bool) -> tuple[float, float]:
        """Return the share of names that the rules know, and of rules that the names use.

        Rules that differ in numbers alone count as one.

        Args:
            names: Of tensors.
            ours: Whether to take them for our names; for the authors' otherwise.
        """
        direction = self._to_theirs if ours else self._to_ours
        known, used = 0, set()
        for name in names:
            whole = not ours or self._pieces(name) is None
            kind = direction.kind_of(name if whole else f"{name}.0")
            known += kind is not None or (not ours and self._ignores(name))
            used |= {kind} - {None}
        return known / max(1, len(names)), len(used) / max(1, len({*direction.kinds}))

    def _ignores(self, name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self.ignore)

    def ignored(self, state: Mapping[str, Tensor]) -> set[str]:
        """Return the names in the authors' state dict that are no weights of ours."""
        return {name for name in state if self._ignores(name)}

    def load(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the authors' state dict to ours.

        Raises:
            CheckpointError: A tensor has no rule, or two tensors get the same name.
        """
        unknown = self.unknown(state)
        if unknown:
            raise CheckpointError(
                f"{len(unknown)} tensors are not of this architecture: {', '.join(unknown[:5])}"
                + (", ..." if len(unknown) > 5 else "")
            )
        converted: dict[str, Tensor] = {}
        ignored = self.ignored(state)
        for name, tensor in state.items():
            ours = None if name in ignored else self._to_ours.rename(name)
            if ours is None:
                continue
            if ours in converted:
                raise CheckpointError(f"two tensors of the checkpoint both map to {ours!r}")
            converted[ours] = self._reshape(ours, tensor, save=False)
        return self._join(converted)

    def save(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename our state dict to the authors' names; the inverse of `load`.

        Raises:
            CheckpointError: A tensor has no rule, or two tensors get the same name.
        """
        exported: dict[str, Tensor] = {}
        for name, tensor in self._cut(state).items():
            theirs = self._to_theirs.rename(name)
            if theirs is None:
                raise CheckpointError(f"no rule gives {name!r} a name in the authors' layout")
            if theirs in exported:
                raise CheckpointError(
                    f"two tensors would both be {theirs!r} in the authors' layout"
                )
            exported[theirs] = self._reshape(name, tensor, save=True)
        return exported

    def _join(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Put pieces together."""
        joined: dict[str, Tensor] = {}
        for name, tensor in state.items():
            ours, _, index = name.rpartition(".")
            count = self._pieces(ours)
            if count is None:
                joined[name] = tensor
            elif index == "0":
                pieces = [state.get(f"{ours}.{i}") for i in range(count)]
                present = [piece for piece in pieces if piece is not None]
                if len(present) < count or len({piece.shape for piece in present}) > 1:
                    raise CheckpointError(f"{ours!r} needs {count} tensors of one shape")
                joined[ours] = torch.cat(present)
        return joined

    def _cut(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take apart what they keep in pieces."""
        pieces: dict[str, Tensor] = {}
        for name, tensor in state.items():
            count = self._pieces(name)
            if count is None:
                pieces[name] = tensor
            else:
                pieces |= {f"{name}.{i}": piece for i, piece in enumerate(tensor.chunk(count))}
        return pieces

    def _pieces(self, ours: str) -> int | None:
        """Return in how many pieces they keep a tensor of ours; None for one that is whole."""
        return next((n for pattern, n in self.joined if re.fullmatch(pattern, ours)), None)

    def _reshape(self, ours: str, tensor: Tensor, *, save: bool) -> Tensor:
        for reshape in self.reshapes:
            if re.fullmatch(reshape.ours, ours):
                try:
                    return reshape.save(tensor) if save else reshape.load(tensor)
                except (RuntimeError, ValueError, IndexError) as error:
                    shape = "x".join(map(str, tensor.shape))
                    raise CheckpointError(f"{ours!r} cannot have the shape {shape}") from error
        return tensor
