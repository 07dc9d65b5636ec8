"""Weight files of every kind to named tensors; nothing in a file is ever executed."""

from __future__ import annotations

import json
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sr_zoo.errors import CheckpointError, WeightsNotFoundError
from sr_zoo.weights.cache import is_file, reading
from sr_zoo.weights.screen import EXPORTED, check_claims

# where training frameworks put the network in a file of theirs; the first with tensors counts
NETWORK_KEYS = (
    "params_ema",
    "state_dict_ema",
    "model_ema",
    "ema",
    "shadow",
    "params",
    "state_dict",
    "model_state_dict",
    "state_dict_G",
    "model",
    "module",
    "net_g",
    "netG",
    "generator",
    "network",
    "net",
    "weights",
    "sd",
)
WRAPPERS = ("module.", "_orig_mod.")  # DataParallel, torch.compile
COUNTER = "n_averaged"  # of torch's AveragedModel, beside the network that it wraps
# attributes of training classes; the averaged network before the one that is trained
HOLDERS = ("ema_model.", "model.", "net_g.", "net.", "network.", "generator.")
HEAD = 64  # bytes by which the kinds of files are told apart
ARCHIVE = b"PK\3\4"  # begins what torch.save writes
LONGEST_HEADER = 100_000_000  # bytes, of safetensors
NO_WEIGHTS = (  # what often lies in the place of weights, by how it starts
    (rb"\Z", "is empty: fetch it again"),
    (rb"version https://git-lfs", "is a pointer of Git LFS to the weights: run `git lfs pull`"),
    (rb"\x08[\1-\x1f]\x12", EXPORTED),  # ONNX: its version, then who wrote it
    (rb"<\?xml[^>]*>\s*<net ", EXPORTED),  # OpenVINO
    (rb"7767517\n", EXPORTED),  # ncnn
    (rb"\s*<[!?A-Za-z]", "is a web page, not a weight file: fetch the file that the page links to"),
)
NESTED = 3  # how often one wrapper, holder or state dict may be inside another
SHOWN = 4  # names that a message lists


@dataclass(frozen=True)
class Checkpoint:
    """What a weight file holds.

    Attributes:
        tensors: The network's state dict, wrapper prefixes removed, names otherwise as in the file.
        metadata: Text that a safetensors file carries besides; empty for other kinds.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """Constructor arguments that the metadata state; empty if they state none."""
        with suppress(ValueError, RecursionError):
            arguments = json.loads(self.metadata.get("arguments", ""))
            if isinstance(arguments, dict):  # constructors take tuples, which JSON has not
                return {name: as_tuple(value) for name, value in arguments.items()}
        return {}

    def readings(self) -> Iterator[dict[str, Tensor]]:
        """Yield the tensors, then without the prefixes of classes that may hold the network."""
        yield from _readings(self.tensors)


def _readings(tensors: dict[str, Tensor], nested: int = NESTED) -> Iterator[dict[str, Tensor]]:
    yield tensors
    for holder in HOLDERS if nested else ():
        inside = {
            name.removeprefix(holder): tensor
            for name, tensor in tensors.items()
            if name.startswith(holder)
        }
        if inside:
            yield from _readings(_unwrap(inside), nested - 1)


def as_tuple(value: Any) -> Any:
    """Return a list as a tuple, and anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def read_checkpoint(path: str | Path, *, key: str | None = None) -> Checkpoint:
    """Read a weight file: safetensors, or anything that `torch.save` wrote.

    Args:
        path: The file; its kind is told by its content, not by its name.
        key: Which nested state dict to take, as a path such as ``"params_ema"`` or ``"model.sd"``;
            None for the usual choice.

    Raises:
        WeightsNotFoundError: There is no such file.
        CheckpointError: The file is of no known kind, damaged, or wants to run code.
    """
    path = Path(path)
    if not is_file(path):
        raise WeightsNotFoundError(f"No weight file at {path}.")
    with reading(path) as file:
        head = file.read(HEAD)
    for start, what in NO_WEIGHTS:
        if re.match(start, head):
            raise CheckpointError(f"{path} {what}.")
    size = path.stat().st_size
    if _is_cut(head, size, path):
        raise CheckpointError(f"{path} is cut short: fetch it again.")
    if _is_safetensors(head, size):
        return _read_safetensors(path)
    content = _read_pickled(path)
    return Checkpoint(_unwrap(_find_network(content, key, path)))


def _is_safetensors(head: bytes, size: int) -> bool:
    header = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 8 + header <= size


def _is_cut(head: bytes, size: int, path: Path) -> bool:
    """Tell the first part of a file, which else looks like one of another kind."""
    if head.startswith(ARCHIVE):
        return not zipfile.is_zipfile(path)
    header = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and size < 8 + header <= LONGEST_HEADER


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path} is a damaged safetensors file: {error}") from error
    return Checkpoint(_unwrap(tensors), metadata)


def _read_pickled(path: Path) -> Any:
    if tarfile.is_tarfile(path):
        raise CheckpointError(
            f"{path} is a tar archive as torch wrote them before 2017; such files cannot be read "
            "without running code in them. Save the weights anew with a newer torch."
        )
    check_claims(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of other pickle protocols
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_why_refused(path, str(error))) from error
    except (
        AssertionError,
        OSError,
        RuntimeError,
        EOFError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        first_line = str(error).partition("\n")[0]
        raise CheckpointError(f"{path} cannot be read as a weight file: {first_line}") from error


def _why_refused(path: Path, message: str) -> str:
    """Name what a pickle asked for beyond tensors and plain data."""
    found = re.search(r"GLOBAL ([\w.]+)|Unsupported (?:class|global) ([\w.]+)", message)
    if found is None:
        return f"{path} is no weight file that can be read safely: {message.partition(chr(10))[0]}"
    name = found.group(1) or found.group(2)
    return (
        f"{path} asks for {name}, which is not needed for weights and could run code; nothing was "
        "run. If you trust the file, save only its state_dict() again."
    )


def _find_network(content: Any, key: str | None, path: Path) -> dict[str, Tensor]:
    found = f"it holds {_contents(content)}"
    if key is not None:
        for part in key.split("."):
            if not isinstance(content, Mapping) or part not in content:
                raise CheckpointError(f"{path} has no {key!r}; {found}")
            content = content[part]
    tensors = _network_in(content)
    if not tensors:
        raise CheckpointError(f"{path} holds no state dict; {found}")
    return tensors


def _network_in(content: Any, nested: int = NESTED) -> dict[str, Tensor]:
    """Return the first state dict in a file's content, empty if there is none."""
    if not isinstance(content, Mapping):
        return {}
    # first: a loss or a score beside the network is a tensor, too
    for key in NETWORK_KEYS if nested else ():
        if inside := _network_in(content.get(key), nested - 1):
            return inside
    tensors = {str(name): t for name, t in content.items() if isinstance(t, Tensor)}
    return tensors if any(t.dim() for t in tensors.values()) else {}  # else a rate and a count


def _contents(content: Any) -> str:
    """Name what is in a file, for a message."""
    if not isinstance(content, Mapping) or not content:
        return f"a {type(content).__name__} without names"
    return first([str(name) for name in content])


def first(names: list[str]) -> str:
    """Return the first few names, for a message."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _unwrap(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for wrapper in ("", *WRAPPERS * NESTED):
        if all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): t for name, t in tensors.items()}
            tensors.pop(COUNTER, None)
    return tensors
