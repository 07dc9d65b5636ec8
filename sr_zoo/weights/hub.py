"""Networks as folders and Hub repositories: `model.safetensors`, `config.json` and a model card."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import save
from torch import Tensor

import sr_zoo
from sr_zoo.atomic import make_folder, write_atomically
from sr_zoo.blocks.hooked import with_plain_weights
from sr_zoo.errors import (
    CheckpointError,
    DownloadError,
    ModelArgumentError,
    UploadError,
    WeightsIntegrityError,
    WeightsNotFoundError,
)
from sr_zoo.network import Identity, SRNetwork
from sr_zoo.paths import as_path
from sr_zoo.registry import spec_of
from sr_zoo.weights.cache import ELSEWHERE, hub_cache, is_file, sha256_of
from sr_zoo.weights.card import Facts, model_card
from sr_zoo.weights.download import obstacle, offline
from sr_zoo.weights.fetch import endpoint
from sr_zoo.weights.loading import shapes
from sr_zoo.weights.manifest import ON_HUB
from sr_zoo.weights.outline import shapes_of

FILE = "model.safetensors"
SHARDS = f"{FILE}.index.json"
CONFIG, CARD = "config.json", "README.md"
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}
FILES = (FILE, "pytorch_model.bin")  # the second is what older repositories of others have


def save_pretrained(
    network: SRNetwork, folder: str | Path, facts: Facts, *, source: str | None = None
) -> None:
    """Write a network so that `sr_zoo.load_model(folder)` builds it again.

    Args:
        network: Built by `sr_zoo.create_model` or `sr_zoo.load_model`.
        folder: Made if it does not exist; files of these names in it are replaced.
        facts: What the files say of the weights.
        source: What the model card loads; None for the folder.

    Raises:
        ModelArgumentError: The network does not know which model it is, or `facts` have a measure
            that model cards do not state.
        FileWriteError: The folder cannot be written to, or the disk is full.
    """
    folder = as_path(folder, "folder")
    card = model_card(_identity_of(network), facts, source or folder.as_posix())
    weights = as_safetensors(network, facts)
    make_folder(folder)
    write_atomically(folder / FILE, weights)
    config = {
        "library_name": "sr_zoo",
        "library_version": sr_zoo.__version__,
        **_config(network, facts),
    }
    write_atomically(folder / CONFIG, (json.dumps(config, indent=1) + "\n").encode())
    write_atomically(folder / CARD, card.encode())


def _identity_of(network: SRNetwork) -> Identity:
    if network.identity is None:
        raise ModelArgumentError(
            f"This {type(network).__name__} was built by calling its class, so its arguments are "
            "not known; build it with sr_zoo.create_model (sr_zoo.register_model makes a class of "
            "your own known)."
        )
    return network.identity


def as_safetensors(network: SRNetwork, facts: Facts) -> bytes:
    """Return a file by which alone `sr_zoo.load_model` builds a network again.

    Pruned and normalised layers are stored with the weights that they run with.

    Raises:
        ModelArgumentError: The network does not know which model it is, or was changed to another.
    """
    state = with_plain_weights(network).state_dict()
    state = {name: tensor.contiguous().cpu() for name, tensor in state.items()}
    _check_unchanged(_identity_of(network), state)
    config = _config(network, facts)
    return save(state, metadata={key: _as_text(value) for key, value in config.items()})


def _check_unchanged(identity: Identity, state: Mapping[str, Tensor]) -> None:
    """Raise ModelArgumentError unless the network that is built again has these tensors."""
    if identity.fused:
        return  # what fusing leaves is known once it was done
    found = shapes(state)
    expected = shapes_of(spec_of(identity.name).network, identity.arguments) or {}
    if changed := sorted(dict(found.items() ^ expected.items())):
        raise ModelArgumentError(
            f"This {identity.name} was changed after it was built, in {changed[0]} and "
            f"{len(changed) - 1} more tensors, so that it could not be loaded again; undo that "
            "(merge adapters into the layers that they wrap), or save its state_dict() yourself"
        )


def _config(network: SRNetwork, facts: Facts) -> dict[str, Any]:
    identity = _identity_of(network)
    return {
        "architecture": identity.name,
        "arguments": identity.arguments,
        "scale": network.scale,
        "fused": identity.fused,
        **({"calibration": measured} if (measured := network.calibration()) else {}),
        **facts.stated,
    }


def _as_text(value: Any) -> str:
    """Return a value as metadata of a safetensors file keep it."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def push_to_hub(network: SRNetwork, repo: str, facts: Facts, *, private: bool = False) -> str:
    """Upload a network to a repository of the Hub, made if it does not exist.

    Returns:
        The commit.

    Raises:
        ModelArgumentError: The network does not know which model it is.
        UploadError: The Hub is out of reach, or refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    if variable := offline():
        raise UploadError(f"{repo} cannot be uploaded while {variable} is set.")
    problem = obstacle(endpoint())
    if problem:
        raise UploadError(
            f"{repo} could not be uploaded: {problem}. HF_ENDPOINT names another Hub."
        )
    with TemporaryDirectory() as folder:
        save_pretrained(network, folder, facts, source=f"{ON_HUB}{repo}")
        try:
            api = HfApi(endpoint=endpoint())
            api.create_repo(repo, exist_ok=True, private=private)
            files = [CommitOperationAdd(path.name, path) for path in Path(folder).iterdir()]
            commit = api.create_commit(repo, files, commit_message="Upload weights of sr_zoo")
        except Exception as error:
            if not _is_of_hub(error):
                raise
            raise UploadError(
                f"{repo} could not be uploaded to {endpoint()}: {_first_line(error)}. Its owner's "
                "token with the right to write belongs into HF_TOKEN (or run `hf auth login`)."
            ) from error
    return commit.oid


def _is_of_hub(error: Exception) -> bool:
    """Return whether an error comes from the Hub's client or from the connection."""
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError | RuntimeError | ValueError) or package.startswith(
        ("huggingface", "httpx")
    )


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def locate_saved(source: str | Path) -> Path | None:
    """Return the weight file of a saved folder or a Hub repository, None if `source` is neither.

    Raises:
        WeightsNotFoundError: The folder or repository holds no network.
        DownloadError: The Hub is out of reach or refuses, and nothing is in its cache.
        WeightsIntegrityError: The file in the cache is damaged.
        CheckpointError: The folder cannot be read, or holds a network in several files.
    """
    text = str(source)
    if text.startswith(ON_HUB):
        repo, _, revision = text.removeprefix(ON_HUB).partition("@")
        return from_hub(repo, revision or None)
    folder = Path(source)
    if not folder.is_dir():
        return None
    for name in FILES:
        if is_file(folder / name):
            return folder / name
    if is_file(folder / SHARDS):
        raise CheckpointError(
            f"{folder} holds weights in several files, as its {SHARDS} says, which are not read: "
            f"put their tensors into one {FILE}."
        )
    raise WeightsNotFoundError(f"{folder} holds no {FILE}; save_pretrained writes one.")


def from_hub(repo: str, revision: str | None = None) -> Path:
    """Return a repository's weight file, from the cache where there is no network.

    Args:
        repo: ``"owner/name"``.
        revision: Branch, tag or commit; None for the main one.

    Raises:
        WeightsNotFoundError: The repository holds none.
        DownloadError: The Hub is out of reach or refuses, and nothing is in its cache.
        WeightsIntegrityError: The file in the cache is damaged.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    variable = offline()
    unreachable = f"{variable} is set" if variable else obstacle(endpoint())
    for name in FILES:
        try:
            path = hf_hub_download(
                repo,
                name,
                revision=revision,
                endpoint=endpoint(),
                cache_dir=hub_cache(),
                local_files_only=bool(unreachable),
            )
        except LocalEntryNotFoundError as error:
            if not unreachable:  # the Hub answers, but not with the file
                raise _missing(repo, _first_line(error.__cause__ or error)) from error
        except EntryNotFoundError:
            pass
        except Exception as error:
            if not _is_of_hub(error):
                raise
            if isinstance(error, OSError) and error.errno in UNWRITABLE:
                raise DownloadError(
                    f"{repo} cannot be kept in the cache ({error.strerror}); {ELSEWHERE}."
                ) from error
            raise DownloadError(
                f"{repo} could not be fetched from {endpoint()}: {_first_line(error)}. Check the "
                "name; a private or gated repository needs its terms accepted and HF_TOKEN."
            ) from error
        else:
            return _verified(Path(path))
    if unreachable:
        way_out = "Load it once where there is a network, or name a mirror in HF_ENDPOINT"
        raise _missing(repo, f"{unreachable}. {way_out}")
    raise WeightsNotFoundError(f"{repo} holds no {' or '.join(FILES)}.")


def _missing(repo: str, reason: str) -> DownloadError:
    return DownloadError(f"{repo} is not on this machine, and {reason}.")


def _verified(path: Path) -> Path:
    """Compare a large file with its name in the Hub's cache, which is its SHA-256."""
    blob = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", blob.name) and sha256_of(blob) != blob.name:
        try:
            blob.unlink()
        except OSError as error:
            raise WeightsIntegrityError(
                f"{path} is damaged and could not be removed ({error.strerror or error}): "
                f"remove {blob} and try again."
            ) from error
        raise WeightsIntegrityError(f"{path} was damaged and has been removed; try again.")
    return path
