"""ONNX files whose convolutions compute in 8-bit integers, and what that costs in dB.

Weights get a step per output channel, features one step for all, from the range that they have on
example images; the first and the last convolution stay in float32. ONNX Runtime quantises and runs
such files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_zoo.atomic import write_atomically
from sr_zoo.blocks.hooked import copy_of
from sr_zoo.errors import ExportError, OptionError
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.metrics import psnr_y
from sr_zoo.export import onnx
from sr_zoo.export.exporting import check_network, checked_name, export_model
from sr_zoo.network import SRNetwork
from sr_zoo.paths import as_path
from sr_zoo.registry import spec_of

MANY = 16  # images; more change the ranges little
SIDE = 160  # LR pixels of an image that are looked at, in its middle
# beside convolutions these have sums over many values, or gates, whose steps 8 bits are too few for
UNFIT = {"transformer", "attention", "moe", "dynamic"}
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Quantised:
    """An int8 file that was written, and how it does on the images that it was calibrated on.

    Attributes:
        path: Where it is.
        images: How many there were whose PSNR is finite both ways, the others left out.
        float_psnr: Of the network in float32 against the originals, luminance, in dB.
        int8_psnr: Of the file.
    """

    path: Path
    images: int
    float_psnr: float
    int8_psnr: float

    @property
    def loss(self) -> float:
        """What int8 costs, in dB, to two decimals."""
        return round(self.float_psnr - self.int8_psnr, 2) or 0.0  # not minus zero

    def __str__(self) -> str:
        return (
            f"int8 loses {self.loss:.2f} dB: {self.int8_psnr:.2f} dB in place of "
            f"{self.float_psnr:.2f} dB on {self.images} images"
        )


def export_int8(network: SRNetwork, path: str | Path, folder: str | Path) -> Quantised:
    """Write a plain convolutional network to an ONNX file that computes in int8.

    Args:
        network: Of `create_model` or `load_model`, with trained weights; it is not changed.
        path: File to write, ending in .onnx; replaced if it is there.
        folder: HR images like those to come, to take the features' ranges from and to measure on;
            LR images are looked for and made as `sr-zoo eval` does.

    Raises:
        OptionError: The network is none of this library, not plain, or has no convolution between
            its first and its last; or the folder holds no images, or only such as come out exact.
        ExportError: See `export_model`; or onnxruntime is not installed.
    """
    check_network(network)
    network = copy_of(network).cpu().float().eval()
    _check_plain(network)
    target = checked_name(path, onnx.SUFFIX)
    pairs = _pairs(as_path(folder, "folder"), network.scale)
    with TemporaryDirectory() as temporary:
        exact = export_model(network, Path(temporary) / "exact.onnx", to="onnx").path
        partial = Path(temporary) / "int8.onnx"
        _quantise(exact, partial, [_batch(lr) for lr, _ in pairs])
        scores = [_scores(file, pairs, network.scale) for file in (exact, partial)]
        finite = [both for both in zip(*scores, strict=True) if max(both) < math.inf]
        if not finite:
            raise OptionError(
                f"{folder}: no loss can be told of images that come out exact, as flat ones do; "
                "name a folder of photographs"
            )
        write_atomically(target, partial.read_bytes(), error=ExportError)
    return Quantised(target, len(finite), *map(fmean, zip(*finite, strict=True)))


def _check_plain(network: SRNetwork) -> None:
    if network.identity is None:
        return  # exporting says so
    name = network.identity.name
    unfit = [tag for tag in spec_of(name).tags if tag in UNFIT]
    if unfit:
        raise OptionError(
            f"int8 is for plain convolutional networks, and {name} has the tags "
            f"{', '.join(unfit)}; export it without --int8"
        )


def _pairs(folder: Path, scale: int) -> list[Pair]:
    """Return the middles of LR and HR images."""
    pairs = []
    for sample in open_folder(folder, scale).samples[:MANY]:
        lr, hr = sample.read()
        top, left = (max(side - SIDE, 0) // 2 for side in lr.shape[:2])
        lr = lr[top : top + SIDE, left : left + SIDE]
        height, width = (scale * side for side in lr.shape[:2])
        pairs.append((lr, hr[scale * top :, scale * left :][:height, :width]))
    return pairs


def _batch(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    planes = image.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    return np.ascontiguousarray(planes / np.float32(255))


def _quantise(exact: Path, target: Path, images: list[NDArray[np.float32]]) -> None:
    try:
        import onnx as format
        from onnxruntime import quantization  # type: ignore[import-untyped] # it has no annotations
    except ImportError:
        raise ExportError(
            "int8 files are made by onnxruntime, which is not installed: pip install 'sr_zoo[onnx]'"
        ) from None

    class Examples(quantization.CalibrationDataReader):  # type: ignore[misc] # likewise
        def __init__(self) -> None:
            self._feeds = ({onnx.INPUT: image} for image in images)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._feeds, None)

    inner = _inner_convolutions(format.load(exact))
    if not inner:  # which onnxruntime would take for all
        raise OptionError(
            "int8 is for what lies between the first and the last convolution, which stay in "
            "float32; this network has none there, so export it without --int8"
        )
    with _silent():
        quantization.quantize_static(
            exact,
            target,
            Examples(),
            nodes_to_quantize=inner,
            per_channel=True,
            # products of two full bytes overflow the sums of processors without VNNI
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    model = format.load(target)
    del model.metadata_props[:]
    model.metadata_props.extend(format.load(exact, load_external_data=False).metadata_props)
    format.save(model, target)


def _inner_convolutions(model: Any) -> list[str]:
    """Return the names of all convolutions but the first and the last.

    These two read and write pixels, whose own steps the eye knows; they take little of the time.
    """
    names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    return names[1:-1]


@contextmanager
def _silent() -> Iterator[None]:
    """Keep advice to the root logger away, which onnxruntime's preparation is not needed for."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _scores(file: Path, pairs: list[Pair], scale: int) -> list[float]:
    """Return the PSNR of each of a file's outputs, in dB."""
    run = onnx.open_file(file).run
    scores = []
    for lr, hr in pairs:
        output = run(torch.from_numpy(_batch(lr)))[0].clamp(0, 1)
        scores.append(psnr_y(output, hr, shave=scale))
    return scores
