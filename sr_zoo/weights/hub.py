"""Networks as folders and Hub repositories: `model.safetensors`, `config.json` and a model card."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import save_file

from sr_zoo.errors import ModelArgumentError, WeightsNotFoundError
from sr_zoo.network import SRNetwork

PREFIX = "hf-hub:"
FILE = "model.safetensors"


def save_pretrained(network: SRNetwork, folder: str | Path, *, license: str | None = None) -> None:
    """Write a network so that `sr_zoo.load_model(folder)` builds it again.

    Args:
        network: Built by `sr_zoo.create_model` or `sr_zoo.load_model`.
        folder: Made if it does not exist; files of these names in it are replaced.
        license: SPDX identifier of the weights, or None if there is none to state.

    Raises:
        ModelArgumentError: The network does not know which model it is.
    """
    if network.identity is None:
        raise ModelArgumentError(
            f"This {type(network).__name__} was built by calling its class, so its arguments are "
            "not known; build it with sr_zoo.create_model."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": network.identity.name,
        "arguments": json.dumps(network.identity.arguments, sort_keys=True),
        "scale": str(network.scale),
        **({"license": license} if license else {}),
    }
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    temporary = folder / f"{FILE}.part"
    save_file(state, temporary, metadata=config)
    temporary.replace(folder / FILE)
    readable = {**config, "arguments": network.identity.arguments, "scale": network.scale}
    (folder / "config.json").write_text(json.dumps(readable, indent=1) + "\n", encoding="utf-8")
    card = _card(network.identity.name, network.scale, license)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _card(name: str, scale: int, license: str | None) -> str:
    header = ["library_name: sr_zoo", "pipeline_tag: image-to-image"]
    header += [f"license: {license.lower()}"] if license else []
    return "\n".join(
        [
            "---",
            *header,
            "---",
            "",
            f"# {name} x{scale}",
            "",
            "```python",
            "import sr_zoo",
            "",
            'model = sr_zoo.load_model("hf-hub:OWNER/REPOSITORY")  # or the path of this folder',
            "```",
            "",
        ]
    )


def push_to_hub(network: SRNetwork, repo: str, *, license: str | None = None) -> str:
    """Upload a network to a repository of the Hub, made if it does not exist; return its address.

    Raises:
        ModelArgumentError: The network does not know which model it is.
    """
    from huggingface_hub import HfApi

    with TemporaryDirectory() as folder:
        save_pretrained(network, folder, license=license)
        card = Path(folder, "README.md")
        card.write_text(card.read_text(encoding="utf-8").replace("OWNER/REPOSITORY", repo), "utf-8")
        api = HfApi()
        api.create_repo(repo, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder)
    return f"hf-hub:{repo}"


def locate_saved(source: str | Path) -> Path | None:
    """Return the weight file of a saved folder or a Hub repository, None if `source` is neither.

    Raises:
        WeightsNotFoundError: The folder holds no network.
    """
    text = str(source)
    if text.startswith(PREFIX):
        from huggingface_hub import hf_hub_download

        repo, _, revision = text.removeprefix(PREFIX).partition("@")
        return Path(hf_hub_download(repo, FILE, revision=revision or None))
    folder = Path(source)
    if not folder.is_dir():
        return None
    if not (folder / FILE).is_file():
        raise WeightsNotFoundError(f"{folder} holds no {FILE}; save_pretrained writes one.")
    return folder / FILE
