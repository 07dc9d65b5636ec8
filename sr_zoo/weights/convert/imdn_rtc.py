"""IMDN_RTC as in Zheng222/IMDN."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import MULTI_DISTILLATION

CONVERTER = Converter(
    rules=(
        ("model.0", "head"),
        *nest("model.1.sub.{i}", "body.{i}", MULTI_DISTILLATION),
        ("model.1.sub.5", "body_out"),
        ("model.2", "upsampler.0"),
    ),
)
