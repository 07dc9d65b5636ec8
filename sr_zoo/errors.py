"""Every error that a user of the library can meet.

Each message says what was wrong (with the value), what is allowed and what to do next.
"""

from collections.abc import Iterable
from difflib import get_close_matches

LEAST_BEGINNING = 3  # letters; fewer begin too many names


class SRZooError(Exception):
    """Base of all errors raised on purpose by sr_zoo."""


class UnknownModelError(SRZooError, ValueError):
    """No model has this name."""


class ScaleNotAvailableError(SRZooError, ValueError):
    """The model is not defined at this scale."""


class ModelArgumentError(SRZooError, TypeError):
    """A network was given an argument that it does not take, or a value that it cannot use."""


class WeightsNotFoundError(SRZooError, LookupError):
    """No weights are known for this model, scale and tag, or a weight file does not exist."""


class WeightsIntegrityError(SRZooError):
    """A weight file is not the file that the manifest names: its SHA-256 or size differs."""


class CheckpointError(SRZooError, ValueError):
    """A weight file cannot be read safely, or its tensors do not fit the network."""


class DownloadError(SRZooError, OSError):
    """A weight file could not be fetched."""


class UploadError(SRZooError, OSError):
    """Weights could not be uploaded."""


class ImageReadError(SRZooError, OSError):
    """An image file is missing, damaged, or no image."""


class FileWriteError(SRZooError, OSError):
    """A file could not be written."""


class ImageWriteError(FileWriteError):
    """An image file could not be written."""


class ImageFormatError(SRZooError, TypeError, ValueError):
    """An in-memory image has a type, shape or value range that is not supported."""


class DeviceError(SRZooError, RuntimeError):
    """The requested device is not present."""


class TrainingError(SRZooError, RuntimeError):
    """A training run had to stop: its loss is no number, or its state cannot be written."""


class ExportError(SRZooError, RuntimeError):
    """A network could not be exported, or an exported file cannot be used."""


class OutOfMemoryError(SRZooError, MemoryError):
    """An image does not fit the memory, however it is cut."""


class OptionError(SRZooError, ValueError):
    """An option has a value outside what is allowed."""


def did_you_mean(wrong: object, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name closest to `wrong`, or an empty string.

    Capitals do not count. A name that begins with `wrong` is closer than one of other beginnings.
    """
    if not isinstance(wrong, str):
        return ""
    written, names = wrong.casefold(), {name.casefold(): name for name in known}
    telling = len(written) >= LEAST_BEGINNING
    begun = [name for name in names if telling and name.startswith(written)]
    close = sorted(begun, key=len) or get_close_matches(written, list(names), n=1, cutoff=0.6)
    return f" Did you mean {names[close[0]]!r}?" if close else ""
