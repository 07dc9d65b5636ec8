"""RFDN as in njulj/RFDN."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import ESA_THREE_CONVS, FEATURE_DISTILLATION

CONVERTER = Converter(
    rules=(
        ("fea_conv", "head"),
        *nest("B{i+1}", "body.{i}.0", FEATURE_DISTILLATION),
        *nest("B{i+1}.esa", "body.{i}.1", ESA_THREE_CONVS),
        ("c", "fuse_features"),
        ("LR_conv", "body_out"),
        ("upsampler", "upsampler"),
    ),
)
