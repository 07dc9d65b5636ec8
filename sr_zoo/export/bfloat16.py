"""Sums over the channels of each pixel, as OpenVINO computes them fastest in bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np

from sr_zoo.export.running import package

MEAN, NORM = "ReduceMean", "ReduceL2"
CHANNELS = 1
POINT = {"strides": [1, 1], "pads_begin": [0, 0], "pads_end": [0, 0], "dilations": [1, 1]}


def sum_by_convolution(model: Any) -> int:
    """Replace means and norms over channels, those of layer normalisation, by 1x1 convolutions.

    A convolution by ones multiplies in bfloat16 and adds in float32, as the processor does it by
    itself; the reductions that it takes the place of convert every value first. In float32 nothing
    is gained: `benchmarks/bfloat16.py`.

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


def _is_over_channels(node: Any) -> bool:
    """Whether a node takes (N, C, H, W), C known, to a mean or norm (N, 1, H, W)."""
    if node.get_type_name() not in (MEAN, NORM):
        return False
    shape, axes = node.input_value(0).get_partial_shape(), node.input_value(1).get_node()
    known = axes.get_type_name() == "Constant" and shape.rank.is_static and len(shape) == 4
    if not known or np.atleast_1d(axes.data).tolist() != [CHANNELS]:
        return False
    return shape[CHANNELS].is_static and len(node.get_output_partial_shape(0)) == 4
