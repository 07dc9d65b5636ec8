"""What a pickled weight file asks for, found out before torch reads it.

The pickle runs against stand-ins: every class and function in it is replaced by one that only notes
its name and its arguments. A file that asks for anything weights do not need, or that claims more
numbers than it has bytes, is refused; nothing of the size it claims is allocated.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any, cast

from sr_zoo.errors import CheckpointError

# what torch.save needs for a state dict and for the plain data that training keeps beside it
HARMLESS = re.compile(
    r"collections\.(OrderedDict|Counter|defaultdict)"
    r"|torch\.(Size|device|bool|b?float\d\w*|u?int\d+|complex\d+|\w*Storage|storage\.\w*Storage)"
    r"|torch\._utils\._rebuild_(tensor(_v2|_v3)?|parameter(_with_state)?)"
    r"|torch\._tensor\._rebuild_from_type_v2|torch\.Tensor|torch\.nn\.parameter\.Parameter"
    r"|torch\.serialization\._get_layout|_codecs\.encode|(__builtin__|builtins)\.(set|int|float)"
)
ITEM_SIZES = {
    "Double": 8,
    "Long": 8,
    "ComplexFloat": 8,
    "ComplexDouble": 16,
    "Float": 4,
    "Int": 4,
    "Half": 2,
    "BFloat16": 2,
    "Short": 2,
}  # bytes, by name of the storage class; all others have one
LEGACY_PARTS = 5  # magic number, protocol, system, the object, and the order of its storages
EXPORTED = (  # what a message says of networks that `export_model` wrote
    "is an exported network, not a weight file: give it to sr_zoo.Upscaler(FILE), "
    "`sr-zoo upscale --model FILE` or `sr-zoo eval FILE`; everything else takes the "
    "weights that it was made of"
)
SHARING = 16  # how often the tensors of a file may hold the same numbers, as tied weights do


def check_claims(path: Path) -> None:
    """Refuse a file that wants more than tensors and plain data.

    Args:
        path: As `torch.save` writes it, in its present or its older form.

    Raises:
        CheckpointError: It asks for something else, claims more than it holds, or is damaged.
    """
    size = path.stat().st_size
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_archive(archive, path, size)
            return
        with path.open("rb") as file:
            for _ in range(LEGACY_PARTS):
                _Claims(path, size).check(_Bounded(file, size))
    except CheckpointError:
        raise
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, *_DAMAGED) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path} cannot be read as a weight file: {reason}") from error


# all that the interpreter may raise on a pickle whose parts do not fit together
_DAMAGED = (AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError, TypeError)


def _check_archive(archive: zipfile.ZipFile, path: Path, size: int) -> None:
    """Refuse archives that would grow (`torch.save` compresses nothing), then read the pickle."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(
            f"{path} is a TorchScript program, not a weight file: save its state_dict() instead."
        )
    if any(name.endswith("/archive_format") for name in names):
        raise CheckpointError(f"{path} {EXPORTED}.")
    compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if compressed or sum(member.file_size for member in members) > size:
        raise CheckpointError(f"{path} is a compressed archive, which torch.save never writes.")
    pickles = [name for name in names if re.fullmatch(r"[^/]*/data\.pkl", name)]
    if len(pickles) != 1:
        raise CheckpointError(f"{path} is an archive, but not one that torch.save wrote.")
    folder = pickles[0].removesuffix("data.pkl")
    records = {m.filename.removeprefix(f"{folder}data/"): m.file_size for m in members}
    _Claims(path, size, records).check(_Bounded(BytesIO(archive.read(pickles[0])), size))


class _Bounded:
    """A file of which nobody reads more than there is: Python allocates first, then looks."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.readline, self.seek, self.tell = file.readline, file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        if count > self.size:
            raise EOFError(f"{count} bytes are claimed where the file has {self.size}")
        return self.file.read(count)


class _Noted:
    """Stands for whatever a class or function of the file would have made."""

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name, self.arguments = name, arguments

    def __setstate__(self, state: object) -> None:
        """Take no state: it is not this object's."""

    def __setitem__(self, key: object, value: object) -> None:
        """Take no items."""

    def append(self, item: object) -> None:
        """Take no items."""

    extend = add = update = append


class _Claims:
    """The claims of one file.

    Args:
        path: For messages.
        size: Of the file in bytes.
        records: Size of each storage that the archive holds; None for the older form.
    """

    def __init__(self, path: Path, size: int, records: dict[str, int] | None = None) -> None:
        self.path, self.size, self.records = path, size, records
        self.storages: dict[str, int] = {}
        self.tensors = 0

    def check(self, file: _Bounded) -> None:
        """Go through one pickle, and leave the file where it ends."""
        start = file.tell()
        for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", file)):
            if opcode.name in ("BYTEARRAY8", "NEXT_BUFFER", "EXT1", "EXT2", "EXT4"):
                raise CheckpointError(f"{self.path} is no weight file: it uses {opcode.name}.")
            if opcode.name in ("LONG_BINPUT", "PUT", "FRAME") and int(argument or 0) > self.size:
                raise CheckpointError(f"{self.path} claims more parts than it has bytes.")
        file.seek(start)
        _Reader(file, self).load()

    def stand_in(self, module: str, name: str) -> Callable[..., Any]:
        full = f"{module}.{name}"
        if not HARMLESS.fullmatch(full):
            raise CheckpointError(
                f"{self.path} asks for {full}, which is not needed for weights and could run code; "
                "nothing was run. If you trust the file, save only its state_dict() again."
            )

        def note(*arguments: Any) -> _Noted:
            if name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"):
                self._tensor(arguments[0], arguments[2])
            elif name == "_rebuild_from_type_v2":
                return arguments[0](*arguments[2])
            elif name in ("Tensor", "Parameter") or name.endswith("Storage"):
                raise CheckpointError(f"{self.path} makes a {name} of its own; weights are stored.")
            return _Noted(full, arguments)

        note.__qualname__ = name
        return note

    def storage(self, claim: Any) -> _Noted:
        kind, storage, key, _, count = claim[:5]
        name = _name_of(storage)
        size = ITEM_SIZES.get(name.removesuffix("Storage"), 1)
        if kind != "storage" or not name.endswith("Storage") or not isinstance(count, int):
            raise CheckpointError(f"{self.path} is no weight file that torch.save wrote.")
        held = self.size if self.records is None else self.records.get(str(key), 0)
        self.storages[str(key)] = count * size
        if not 0 <= count * size <= held or sum(self.storages.values()) > self.size:
            raise CheckpointError(
                f"{self.path} claims {count} numbers of {size} bytes where it holds {held} bytes."
            )
        return _Noted("storage", (count, size))

    def _tensor(self, storage: Any, shape: Any) -> None:
        count, size = storage.arguments
        numbers = prod(shape) if all(isinstance(n, int) and n >= 0 for n in shape) else -1
        self.tensors += numbers * size
        if not 0 <= numbers <= count or self.tensors > SHARING * self.size:
            raise CheckpointError(
                f"{self.path} claims a tensor of {'x'.join(map(str, shape))} numbers where {count} "
                "are stored."
            )


def _name_of(stand_in: Any) -> str:
    return str(getattr(stand_in, "__qualname__", ""))


class _Reader(pickle.Unpickler):
    """Python's own interpreter of pickles, with stand-ins for all that a pickle can name."""

    def __init__(self, file: _Bounded, claims: _Claims) -> None:
        super().__init__(file)
        self.claims = claims

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        return self.claims.stand_in(module, name)

    def persistent_load(self, claim: Any) -> _Noted:
        return self.claims.storage(claim)
