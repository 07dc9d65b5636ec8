"""ncnn files: a description (.ncnn.param) and its weights beside it (.ncnn.bin).

pnnx writes them of a TorchScript trace. What the library needs to know follows the last layer of
the description, where ncnn does not read on.
"""

from __future__ import annotations

import subprocess
import warnings
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from sr_zoo.blocks import crop, pad_to_minimum
from sr_zoo.errors import ExportError
from sr_zoo.export.facts import PREFIX, read_facts
from sr_zoo.export.program import Source, trace_of
from sr_zoo.export.running import Opened, package

SUFFIX = ".ncnn.param"
MAGIC = "7767517"  # the first line of every description
WEIGHTS = f"{PREFIX}weights_sha256"
INPUT, OUTPUT = "in0", "out0"
# height and width of what is traced; pnnx takes for dynamic what differs between the two
SIZES = ((48, 64), (72, 96))


def write(source: Source, path: Path) -> None:
    """Write a network to `path`, which ends in .ncnn.param, and its weights beside it.

    Raises:
        ExportError: Something in the network has no layer in ncnn, or a package is missing.
    """
    facts = replace(source.facts, least_side=source.network.least_side)
    with TemporaryDirectory() as folder:
        traced = Path(folder) / "network.pt"
        # of its own accord, a trace that finds the disk full ends the process
        traced.write_bytes(_trace(source).save_to_buffer())
        drafted = _convert(traced, facts.model)
        description = drafted.read_text()
        if missing := _without_layer(description):
            raise ExportError(
                f"{facts.model} cannot be written for ncnn, which has no layer for "
                f"{', '.join(missing)}"
            )
        weights = drafted.with_suffix(".bin").read_bytes()
        said = {**facts.as_text(), WEIGHTS: sha256(weights).hexdigest()}
        told = "".join(f"{key}={value}\n" for key, value in said.items())
        path.write_text(f"{description}{told}")
        path.with_suffix(".bin").write_bytes(weights)


def _trace(source: Source) -> torch.jit.ScriptModule:
    example = torch.rand(1, 3, *SIZES[0], generator=torch.Generator().manual_seed(0))
    height, width = SIZES[0]
    with trace_of(source.facts.model, f"{width}x{height}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sides that are fixed are found by verification
        traced: torch.jit.ScriptModule = torch.jit.trace(source.network, example, check_trace=False)
    return traced


def _convert(traced: Path, model: str) -> Path:
    """Run pnnx; return the description that it writes beside the file it is given."""
    shapes = [f"[1,3,{height},{width}]" for height, width in SIZES]
    command = [
        package("pnnx", "ncnn", "ncnn").EXEC_PATH,
        str(traced),
        f"inputshape={shapes[0]}",
        f"inputshape2={shapes[1]}",
        "fp16=0",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:  # its own, not one of the disk's, which it would be taken for
        raise ExportError(
            f"{model} cannot be converted: pnnx cannot be started ({error.strerror})"
        ) from error
    drafted = traced.with_suffix(SUFFIX)
    if done.returncode or not drafted.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise ExportError(f"{model} cannot be converted by pnnx: {said[-1]}")
    return drafted


def _without_layer(description: str) -> list[str]:
    """Return PyTorch's operators that pnnx has left as they were."""
    kinds = {line.split()[0] for line in description.splitlines()[2:]}
    return sorted(kind for kind in kinds if "." in kind or "::" in kind)


def open_file(path: Path) -> Opened:
    """Open a file on the CPU, in float32, with as many threads as torch has.

    Raises:
        ExportError: The file is damaged or not ours, its weights are missing, or ncnn is.
    """
    ncnn = package("ncnn", "ncnn", "ncnn")
    try:
        description = path.read_text(encoding="ascii")
    except ValueError:
        description = ""
    except OSError as error:
        raise ExportError(f"{path} cannot be opened by ncnn: {error.strerror}") from error
    weights = path.with_suffix(".bin")
    if not description.startswith(f"{MAGIC}\n"):
        raise ExportError(f"{path} cannot be opened by ncnn: it is no description of a network")
    if not weights.is_file():
        raise ExportError(f"{path} cannot be opened by ncnn: {weights.name} is not beside it")
    told = dict(line.split("=", 1) for line in description.splitlines() if line.startswith(PREFIX))
    facts = read_facts(told, str(path))
    if WEIGHTS in told:  # files of earlier versions do not say it
        _check_weights(weights, told[WEIGHTS])
    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    # half the precision is ncnn's default where the processor has it
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{half}", False)
    if net.load_param(str(path)) or net.load_model(str(weights)):
        raise ExportError(f"{path} cannot be opened by ncnn: one of its two files is damaged")

    def run(images: Tensor) -> Tensor:
        height, width = (side * facts.scale for side in images.shape[-2:])
        padded = pad_to_minimum(images, facts.least_side)
        output = torch.stack([_enlarge(ncnn, net, image) for image in padded])
        return crop(output, height, width)

    return Opened(run, facts)


def _check_weights(path: Path, digest: str) -> None:
    """Refuse other weights than the description's; ncnn takes all that are as long."""
    try:
        matches = sha256(path.read_bytes()).hexdigest() == digest
    except OSError as error:
        raise ExportError(f"{path} cannot be opened by ncnn: {error.strerror}") from error
    if not matches:
        raise ExportError(
            f"{path} cannot be opened by ncnn: it is damaged, or holds the weights of another "
            "network than the description beside it; export both again"
        )


def _enlarge(ncnn: Any, net: Any, image: Tensor) -> Tensor:
    """Run a network on one image, (3, H, W)."""
    extractor = net.create_extractor()
    pixels = image.contiguous().numpy()  # kept: ncnn's view of it does not keep it
    # a clone: over memory that is not its own, ncnn crashes where a layer's input is used twice
    extractor.input(INPUT, ncnn.Mat(pixels).clone())
    failed, output = extractor.extract(OUTPUT)
    if failed:
        raise ExportError(f"ncnn ended with code {failed} on an image of {tuple(image.shape)}")
    return torch.from_numpy(output.numpy().copy())
