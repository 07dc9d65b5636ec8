"""From a network to a verified file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from filecmp import cmp
from importlib import import_module
from pathlib import Path
from shutil import move
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_zoo.atomic import drafts, remove_leftovers, writing_atomically
from sr_zoo.blocks.hooked import copy_of
from sr_zoo.errors import ExportError, FileWriteError, OptionError, did_you_mean
from sr_zoo.export.facts import facts_of
from sr_zoo.export.program import Source
from sr_zoo.export.running import Opened
from sr_zoo.fusion import fuse
from sr_zoo.network import SRNetwork
from sr_zoo.paths import as_path

# format to its module, each of which has `write`, `open_file` and `SUFFIX`
FORMATS = {
    "onnx": "sr_zoo.export.onnx",
    "openvino": "sr_zoo.export.openvino",
    "torch-export": "sr_zoo.export.torch_export",
    "ncnn": "sr_zoo.export.ncnn",
}
ONE_SIZE = "coreml-ready"  # what `sr_zoo.export.coreml` writes
SIZES = ((1, 24, 40), (2, 37, 61), (1, 5, 1))  # aligned; odd, as a batch; smaller than any window
GRAIN = 0.1  # between the darkest and the brightest, of what is compared on
TOLERANCE = 1e-4  # of the largest value of the output, at least of 1


@dataclass(frozen=True)
class Comparison:
    """How far a file is from the network it was made of, at one size.

    Attributes:
        size: Batch, height and width of the input.
        difference: Largest absolute difference between the outputs.
        allowed: What it may be.
    """

    size: tuple[int, int, int]
    difference: float
    allowed: float

    def __str__(self) -> str:
        batch, height, width = self.size
        return f"{batch} x 3 x {height} x {width}: differs by {self.difference:.1e} at most"


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: Where it is; the weights of OpenVINO and ncnn lie beside it.
        comparisons: With the network in PyTorch; empty if that was not asked for.
    """

    path: Path
    comparisons: tuple[Comparison, ...]


def export_model(
    network: SRNetwork,
    path: str | Path,
    *,
    to: str,
    sizes: Sequence[tuple[int, int, int]] = SIZES,
) -> Exported:
    """Write a network to a file that takes any batch, height and width.

    The network is fused first. The file takes and gives what the network does: float32,
    (N, 3, H, W), RGB in [0, 1], not clamped. It is run and compared with the network before it is
    put where it belongs; one that differs is not kept.

    Args:
        network: Of `create_model` or `load_model`; it is not changed.
        path: File to write, with the format's ending; replaced if it is there.
        to: ``"onnx"``, ``"openvino"``, ``"torch-export"`` or ``"ncnn"``.
        sizes: Batches, heights and widths to compare at; none to leave that out.

    Returns:
        Where the file is, and how close it came.

    Raises:
        OptionError: `to` is no known format, `path` no path, or the network none of this library.
        ExportError: The network cannot be written in this format, the file is named otherwise, the
            folder is missing, or the file does not compute what the network does.
        FileWriteError: The folder is not writable, or the disk is full.
    """
    if not (isinstance(to, str) and to in FORMATS):
        raise OptionError(
            f"Unknown format {to!r}.{did_you_mean(to, (*FORMATS, ONE_SIZE))} "
            f"Formats: {', '.join(FORMATS)}; and {ONE_SIZE}, with --size or export_coreml_ready"
        )
    form: Any = import_module(FORMATS[to])
    target = checked_name(path, form.SUFFIX)
    return write_compared(network, target, form.write, form.open_file, to=to, sizes=sizes)


def checked_name(path: str | Path, suffix: str) -> Path:
    """Return the path of a file to write, whose ending tells its format when it is opened.

    Raises:
        OptionError: It is no path.
        ExportError: It ends otherwise.
    """
    path = as_path(path, "path")
    if not path.name.lower().endswith(suffix):
        raise ExportError(
            f"{path.name} does not end in {suffix}, by which such files are known; "
            f"name it {path.stem}{suffix}"
        )
    return path


def check_network(network: object) -> None:
    """Refuse what is no network of this library.

    Raises:
        OptionError: It is none.
    """
    if not isinstance(network, SRNetwork):
        raise OptionError(
            f"network must be one of create_model or load_model, got a {type(network).__name__}"
        )


def write_compared(
    network: SRNetwork,
    target: Path,
    write: Callable[[Source, Path], None],
    open_file: Callable[[Path], Opened],
    *,
    to: str,
    sizes: Sequence[tuple[int, int, int]],
) -> Exported:
    """Write a network beside where it belongs, compare, and put it there if it is right.

    Raises:
        OptionError: The network is none of this library.
        ExportError: The network cannot be written, the folder is missing, the file does not compute
            what the network does, or its weights would replace a file that is not of its own.
        FileWriteError: The folder is not writable, or the disk is full.
    """
    check_network(network)
    if not target.resolve().parent.is_dir():
        raise ExportError(f"{target}: the folder {target.resolve().parent} does not exist")
    remove_leftovers((target, target.with_suffix(".bin")))
    network = copy_of(network).cpu().float().eval()
    facts = facts_of(network)
    try:
        with drafts(target) as folder:
            draft = Path(folder) / target.name
            write(Source(fuse(network), facts), draft)
            comparisons = tuple(compare(network, open_file(draft), sizes))
            _check(comparisons, to, facts.model)
            # the weights first: no file is there without them
            files = sorted(Path(folder).iterdir(), key=lambda file: file == draft)
            _check_beside(target, files)
            for file in files:
                with writing_atomically(target.with_name(file.name)) as partial:
                    move(file, partial)
    except FileWriteError:
        raise
    except OSError as error:
        raise FileWriteError(
            f"{target}: cannot be written ({error.strerror or error}); nothing was changed"
        ) from error
    return Exported(target, comparisons)


def _check_beside(target: Path, files: Sequence[Path]) -> None:
    """Refuse to replace what neither an earlier file nor a run that was killed has left."""
    for file in files:
        beside = target.with_name(file.name)
        if not target.exists() and beside.exists() and not cmp(file, beside, shallow=False):
            raise ExportError(
                f"{beside} is there already without {target.name}, whose weights it would be "
                "replaced by; choose another name"
            )


def compare(
    network: SRNetwork, opened: Opened, sizes: Sequence[tuple[int, int, int]]
) -> list[Comparison]:
    """Run a network and the file made of it on the same pictures, and compare the outputs.

    Raises:
        ExportError: The file does not run at one of these sizes.
    """
    comparisons = []
    for size in sizes:
        batch, height, width = size
        image = picture(*size)
        with torch.inference_mode():
            expected = network(image)
        try:
            output = opened.run(image)
        except Exception as error:  # each runtime has errors of its own
            raise ExportError(
                f"The file of {opened.facts.model} does not run for {batch} x 3 x {height} x "
                f"{width}: {str(error).strip().splitlines()[0]}"
            ) from error
        allowed = TOLERANCE * max(1.0, expected.abs().max().item())
        comparisons.append(Comparison(size, _difference(output, expected), allowed))
    return comparisons


def picture(batch: int, height: int, width: int) -> Tensor:
    """Return soft clouds with some grain, (N, 3, H, W) in [0, 1].

    What has learned from photographs may leave all bounds on white noise, as PAN does.
    """
    generator = torch.Generator().manual_seed(batch * height * width)
    coarse = torch.rand(batch, 3, 2 + height // 8, 2 + width // 8, generator=generator)
    clouds = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    grain = torch.rand(batch, 3, height, width, generator=generator) - 0.5
    return (clouds + GRAIN * grain).clamp(0, 1)


def _check(comparisons: Sequence[Comparison], to: str, model: str) -> None:
    for comparison in comparisons:
        if not comparison.difference <= comparison.allowed:
            raise ExportError(
                f"The {to} file of {model} was not kept, since it does not compute what the "
                f"network does; {comparison}, allowed are {comparison.allowed:.1e}"
            )


def _difference(output: Tensor, expected: Tensor) -> float:
    if output.shape != expected.shape:
        return float("inf")
    return (output - expected).abs().max().item()


def open_exported(path: str | Path) -> Opened:
    """Open a file that `export_model` wrote.

    Raises:
        OptionError: `path` is no path.
        ExportError: The file is missing, damaged, or none of this library's; or the package that
            runs it is not installed.
    """
    path = as_path(path, "path")
    for name in FORMATS.values():
        form: Any = import_module(name)
        if path.name.lower().endswith(form.SUFFIX):
            if not path.is_file():
                raise ExportError(f"{path} does not exist")
            opened: Opened = form.open_file(path)
            return opened
    raise ExportError(f"{path} is no exported file; those end in .onnx, .xml, .pt2 or .ncnn.param")
