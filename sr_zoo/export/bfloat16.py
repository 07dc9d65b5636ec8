"""Parts of a network as OpenVINO computes them fastest in bfloat16.

In float32 they stay as they are: sums gain nothing there, and an error function that is exact to
its last bit takes its time. What each gains: `benchmarks/bfloat16.py`.
"""

from __future__ import annotations

from functools import cache
from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_zoo.export.running import package

MEAN, NORM = "ReduceMean", "ReduceL2"
CHANNELS = 1
ERF_LIMIT = 2.6  # from here on, and down to minus this, it is taken to be 1, and -1
ERF_TERMS = 6  # GELU is then off by 6e-4 at most; bfloat16 writes values near 1 to 4e-3
POINT = {"strides": [1, 1], "pads_begin": [0, 0], "pads_end": [0, 0], "dilations": [1, 1]}


def rewrite(model: Any) -> None:
    """Rewrite all that there is to gain from.

    Args:
        model: An `openvino.Model`, changed in place.
    """
    sum_by_convolution(model)
    # for images of any size, OpenVINO runs a polynomial step by step and rounds each to bfloat16
    if not model.is_dynamic():
        approximate_erf(model)


def sum_by_convolution(model: Any) -> int:
    """Replace means and norms over channels, those of layer normalisation, by 1x1 convolutions.

    A convolution by ones multiplies in bfloat16 and adds in float32, as the processor does it by
    itself; the reductions that it takes the place of convert every value first.

    Args:
        model: An `openvino.Model`, changed in place.

    Returns:
        How many were replaced.
    """
    ops = package("openvino", "OpenVINO", "openvino").opset13
    found = [node for node in model.get_ordered_ops() if _is_over_channels(node)]
    for node in found:
        features = node.input_value(0)
        width = features.get_partial_shape()[CHANNELS].get_length()
        ones = ops.constant(np.ones((1, width, 1, 1), np.float32))
        if node.get_type_name() == MEAN:
            summed = ops.convolution(features, ones, **POINT)
            by_convolution = ops.multiply(summed, ops.constant(np.float32(1 / width)))
        else:
            squares = ops.multiply(features, features)
            by_convolution = ops.sqrt(ops.convolution(squares, ones, **POINT))
        node.output(0).replace(by_convolution.output(0))
    model.validate_nodes_and_infer_types()
    return len(found)


def approximate_erf(model: Any) -> int:
    """Replace the error function, that of GELU, by a polynomial between two limits.

    Multiplications and additions run along with those around them, as no exponential does.

    Args:
        model: An `openvino.Model`, changed in place.

    Returns:
        How many were replaced.
    """
    ops = package("openvino", "OpenVINO", "openvino").opset13
    found = [node for node in model.get_ordered_ops() if node.get_type_name() == "Erf"]
    *lower, highest = (ops.constant(each) for each in _erf_coefficients())
    for node in found:
        x = ops.clamp(node.input_value(0), -ERF_LIMIT, ERF_LIMIT)
        square, value = ops.multiply(x, x), highest
        for coefficient in reversed(lower):
            value = ops.add(ops.multiply(value, square), coefficient)
        node.output(0).replace(ops.multiply(value, x).output(0))
    model.validate_nodes_and_infer_types()
    return len(found)


@cache
def _erf_coefficients() -> NDArray[np.float32]:
    """Return c of erf(x) = x * (c[0] + c[1] x^2 + c[2] x^4 ...), exactly 1 at the limit."""
    x = ERF_LIMIT * np.cos(np.linspace(0, np.pi / 2, 200, endpoint=False))  # dense at the limit
    square, limit = x * x, ERF_LIMIT * ERF_LIMIT
    # GELU multiplies it by x, and so its error
    rest = square * (np.vectorize(erf)(x) / x - 1 / ERF_LIMIT)
    terms = np.vander(square, ERF_TERMS - 1, increasing=True) * (square * (square - limit))[:, None]
    found = np.linalg.lstsq(terms, rest, rcond=None)[0]
    coefficients = np.polynomial.polynomial.polymul(found, [-limit, 1])
    coefficients[0] += 1 / ERF_LIMIT
    return coefficients.astype(np.float32)


def _is_over_channels(node: Any) -> bool:
    """Whether a node takes (N, C, H, W), C known, to a mean or norm (N, 1, H, W)."""
    if node.get_type_name() not in (MEAN, NORM):
        return False
    shape, axes = node.input_value(0).get_partial_shape(), node.input_value(1).get_node()
    known = axes.get_type_name() == "Constant" and shape.rank.is_static and len(shape) == 4
    if not known or np.atleast_1d(axes.data).tolist() != [CHANNELS]:
        return False
    return shape[CHANNELS].is_static and len(node.get_output_partial_shape(0)) == 4
