"""RLFN as in bytedance/RLFN."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import ESA_ONE_CONV

CONVERTER = Converter(
    rules=(
        ("conv_1", "head"),
        ("conv_2", "body_out"),
        ("upsampler", "upsampler"),
        ("block_{i+1}.c1_r", "body.{i}.convs.0"),
        ("block_{i+1}.c2_r", "body.{i}.convs.2"),
        ("block_{i+1}.c3_r", "body.{i}.convs.4"),
        ("block_{i+1}.c5", "body.{i}.project"),
        *nest("block_{i+1}.esa", "body.{i}.attention", ESA_ONE_CONV),
    ),
)
