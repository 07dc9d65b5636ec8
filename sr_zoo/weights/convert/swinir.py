"""SwinIR as in JingyunLiang/SwinIR: lightweight, classical, and for real photographs."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import (
    NARROWING_UPSAMPLER,
    NEAREST_UPSAMPLER,
    SWIN_BLOCK,
    SWIN_IGNORE,
    SWIN_TRUNK,
)

TRUNK = (
    *SWIN_TRUNK,
    *nest("layers.{i}.residual_group.blocks.{j}", "body.{i}.blocks.{j}", SWIN_BLOCK),
)
REAL = Converter(
    rules=(
        *TRUNK,
        ("conv_before_upsample.0", "upsampler.0"),
        *nest("", "upsampler.2", NEAREST_UPSAMPLER),
    ),
    ignore=SWIN_IGNORE,
)

CONVERTER = Converter(rules=(*TRUNK, ("upsample", "upsampler")), ignore=SWIN_IGNORE)
OTHER_FORMS = {
    "SwinIR": Converter(rules=(*TRUNK, *NARROWING_UPSAMPLER), ignore=SWIN_IGNORE),
    "SwinIRReal": REAL,
    "SwinIRRealLarge": REAL,
}
