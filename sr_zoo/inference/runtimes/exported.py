"""An exported file in the place of a network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sr_zoo.errors import ExportError
from sr_zoo.inference.runtimes.runner import Runner
from sr_zoo.network import SRNetwork
from sr_zoo.weights.cache import sha256_of

# end of its name to what runs such a file
ENGINES = {
    ".onnx": "onnxruntime",
    ".xml": "openvino",
    ".pt2": "torch-export",
    ".ncnn.param": "ncnn",
}
WEIGHTS_BESIDE = {"openvino", "ncnn"}  # as .bin


def is_exported(model: object) -> bool:
    """Whether a model is named by an exported file."""
    return isinstance(model, (str, Path)) and str(model).lower().endswith(tuple(ENGINES))


class ExportedNetwork(SRNetwork):
    """A network that is a file: it runs on the CPU and cannot be trained, changed or copied.

    Args:
        path: As `export_model` wrote it.

    Attributes:
        path: Of the file.
        engine: What runs it.
        facts: What the file says of its network.

    Raises:
        ExportError: The file is missing, damaged, none of this library's, or for one size of image;
            or the package that runs it is not installed.
    """

    digest: Tensor

    def __init__(self, path: str | Path) -> None:
        from sr_zoo.export.exporting import open_exported  # torch's exporter takes long to import

        opened = open_exported(path)
        if opened.facts.size:
            raise ExportError(
                f"{path} takes images of {opened.facts.size} only, for coremltools to convert; "
                "upscale with the network itself, or export it to onnx"
            )
        super().__init__(opened.facts.scale)
        self.path = Path(path)
        self.engine = _engine(self.path)
        self.facts = opened.facts
        self._run = opened.run
        # where others have weights, so that a run that is continued notices another file
        self.register_buffer("digest", _digest(self.path))
        self.eval()

    def __deepcopy__(self, memo: object) -> ExportedNetwork:
        return self

    def __reduce__(self) -> tuple[type[ExportedNetwork], tuple[Path]]:
        return ExportedNetwork, (self.path.absolute(),)  # another process may have another folder

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x)


class ExportedRunner(Runner):
    """Runs an exported file.

    Args:
        network: The file.
    """

    sees_views = False

    def __init__(self, network: ExportedNetwork) -> None:
        self.name = network.engine
        self.scale = network.scale
        self._network = network

    def __call__(self, image: Tensor, /) -> Tensor:
        return self._network(image)


def _engine(path: Path) -> str:
    return next(name for end, name in ENGINES.items() if path.name.lower().endswith(end))


def _digest(path: Path) -> Tensor:
    """Return the fingerprint of a file, and of the weights beside it, in bytes."""
    files = (path, path.with_suffix(".bin")) if _engine(path) in WEIGHTS_BESIDE else (path,)
    digests = "".join(sha256_of(file) for file in files if file.is_file())
    return torch.frombuffer(bytearray.fromhex(digests), dtype=torch.uint8)
