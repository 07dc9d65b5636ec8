"""Nested tables, as TOML and JSON files hold them, to and from dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from sr_zoo.errors import OptionError, did_you_mean

T = TypeVar("T")


def without_none(value: Any) -> Any:
    """Return nested data without what is None, which TOML cannot say."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [without_none(item) for item in value]
    return value


def build(cls: type[T], record: Any, source: str, where: str = "") -> T:
    """Build a dataclass from a dictionary whose every key it knows.

    Args:
        cls: The dataclass.
        record: As a TOML or JSON file gives it.
        source: What messages call the whole.
        where: Path of this table in it; empty for the whole.

    Raises:
        OptionError: A key is unknown or missing, or a value is of another type.
    """
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


def typed(
    function: Callable[..., Any], arguments: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """Return arguments of a function in the types that it is annotated with.

    Args:
        function: What will be called with them; it refuses those that it does not know.
        arguments: By name.
        source: What messages call the whole.

    Raises:
        OptionError: A value is of another type.
    """
    hints = get_type_hints(function)
    return {
        name: _convert(value, hints[name], source, name) if name in hints else value
        for name, value in arguments.items()
    }


def _convert(value: Any, hint: Any, source: str, where: str) -> Any:
    """Return a value as the type that a field is annotated with."""
    if is_dataclass(hint):
        return build(hint, value, source, where)  # type: ignore[arg-type] # a class, not an object
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
