"""OpenVINO files: a description (.xml) and its weights beside it (.bin)."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from sr_zoo.errors import ExportError
from sr_zoo.export import bfloat16, onnx
from sr_zoo.export.facts import PREFIX, Facts, read_facts
from sr_zoo.export.program import Source
from sr_zoo.export.running import Opened, package
from sr_zoo.inference.timing import timed

SUFFIX = ".xml"
HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}
# Compiling for one size saves up to a third of a run and takes about as long as opening did
PATIENCE = 8  # times as long as that, runs of a size may take before it is compiled for


def write(source: Source, path: Path) -> None:
    """Write a network to `path` and its weights beside it, by way of ONNX.

    Raises:
        ExportError: Something in the network cannot be converted, or a package is missing.
    """
    by_way = path.with_suffix(onnx.SUFFIX)
    onnx.write(source, by_way)
    convert(by_way, source.facts, path)
    by_way.unlink()


def convert(source: Path, facts: Facts, path: Path) -> None:
    """Write an ONNX file as one of OpenVINO's.

    Raises:
        ExportError: OpenVINO cannot convert it, or is not installed.
        OSError: The file cannot be written.
    """
    openvino = package("openvino", "OpenVINO", "openvino")
    try:
        model = openvino.convert_model(source)
    except Exception as error:  # its own kinds have no common base
        reason = str(error).strip().splitlines()[-1]
        raise ExportError(f"{facts.model} cannot be converted by OpenVINO: {reason}") from error
    for key, value in facts.as_text().items():
        model.set_rt_info(value, [PREFIX.rstrip("."), key.removeprefix(PREFIX)])
    written = path.with_suffix(SUFFIX)  # OpenVINO takes no capitals
    try:
        openvino.save_model(model, written, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(f"OpenVINO says {str(error).strip().splitlines()[-1]!r}") from error
    written.rename(path)


@cache
def _core() -> Any:
    # Kept as long as the process lives. Each core gives its thread another stack for signals and
    # puts back the one before when it goes: of two that went in the order they came, the one
    # that is put back is already freed, and the next signal (Ctrl-C) kills the process.
    return package("openvino", "OpenVINO", "openvino").Core()


class Program:
    """A file compiled for the CPU: for images of any size, and for one size that keeps coming.

    The second waits until runs of one size have taken so long that it is likely to pay: tiles of
    a large image, frames of a video and pictures of one camera get there, single pictures do not.

    Args:
        path: In a format that OpenVINO reads: its own or ONNX.
        dtype: float32 or bfloat16, to compute in.
        cache: Folder to keep what was compiled for any size in, for the next process.

    Raises:
        ExportError: The file is missing or damaged, or OpenVINO is not installed.
    """

    def __init__(
        self, path: Path, *, dtype: torch.dtype = torch.float32, cache: Path | None = None
    ) -> None:
        self._path = path
        self._tensor = package("openvino", "OpenVINO", "openvino").Tensor
        self._settings = {
            # left alone, OpenVINO computes in bfloat16 where the processor can
            "INFERENCE_PRECISION_HINT": HINTS[dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "CACHE_DIR": "" if cache is None else str(cache),
        }
        self._lower = dtype == torch.bfloat16
        try:
            model = self._read() if self._lower else str(path)  # which takes less time to look up
            opened = timed(_core().compile_model, model, "CPU", self._settings)
        except Exception as error:  # its own kinds have no common base
            said = str(error).strip() or type(error).__name__
            reason = said.splitlines()[-1]  # after where in OpenVINO it came about
            raise ExportError(f"{path} cannot be opened by OpenVINO: {reason}") from error
        self._for_any = self._last = opened.result
        self._patience: float = PATIENCE * opened.seconds
        self._spent: defaultdict[tuple[int, ...], float] = defaultdict(float)  # seconds
        self._for_one: Any = None
        self._request: Any = None  # that runs it
        self._shape: tuple[int, ...] = ()  # that `_for_one` is for
        self._lock = Lock()  # a request runs one image at a time, on all threads

    def __call__(self, images: Tensor, /) -> Tensor:
        shape = tuple(images.shape)
        with self._lock:
            if shape == self._shape:
                return self._run(self._for_one, images)
            turn = timed(self._run, self._for_any, images)
            self._spent[shape] += turn.seconds
            if self._spent[shape] > self._patience:
                self._settle(shape)
        return turn.result

    def settle(self, shape: tuple[int, ...]) -> None:
        """Compile for images of one shape, (N, 3, H, W), in the place of the one before."""
        with self._lock:
            self._settle(shape)

    def _settle(self, shape: tuple[int, ...]) -> None:
        try:
            model = self._read(shape)
            # not kept on disk, where one program for each size would pile up
            settings = {**self._settings, "CACHE_DIR": ""}
            compiled = _core().compile_model(model, "CPU", settings)
            request = compiled.create_infer_request()
        except Exception:  # of many kinds; what runs for any size goes on doing so
            self._patience = inf
            return
        self._for_one, self._request, self._shape = compiled, request, shape
        self._spent.clear()

    def _read(self, shape: tuple[int, ...] | None = None) -> Any:
        model = _core().read_model(self._path)
        if shape is not None:
            model.reshape(list(shape))
        if self._lower:
            bfloat16.rewrite(model)
        return model

    def _run(self, compiled: Any, images: Tensor) -> Tensor:
        if compiled is not self._last:  # two that hold their feature maps would take twice as much
            self._last.release_memory()
            self._last = compiled
        pixels = images.contiguous().numpy()
        if compiled is not self._for_one:
            output: Any = compiled(pixels)[0]
            return torch.from_numpy(output.copy())  # the next call writes into the same memory
        written = torch.empty(tuple(compiled.output(0).shape))
        self._request.set_output_tensor(self._tensor(written.numpy(), shared_memory=True))
        self._request.infer(pixels, share_inputs=True)
        return written


def open_file(path: Path) -> Opened:
    """Open a file on the CPU, in float32, with as many threads as torch has.

    Raises:
        ExportError: The file is damaged or not ours, or a package is missing.
    """
    if not path.with_suffix(".bin").is_file():
        raise ExportError(f"{path} cannot be opened by OpenVINO: {path.stem}.bin is not beside it")
    program = Program(path)
    model = _core().read_model(path)
    told: dict[str, Any] = {}
    if model.has_rt_info([PREFIX.rstrip(".")]):
        told = model.get_rt_info([PREFIX.rstrip(".")]).value
    metadata = {PREFIX + key: str(getattr(value, "value", value)) for key, value in told.items()}
    return Opened(program, read_facts(metadata, str(path)))
