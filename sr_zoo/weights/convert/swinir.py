"""SwinIR as in JingyunLiang/SwinIR: lightweight, classical, and for real photographs."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import (
    NARROWING_UPSAMPLER,
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
        ("conv_before_upsample", "upsampler.0"),
        ("conv_up1", "upsampler.1.0.1"),
        ("conv_up2", "upsampler.1.1.1"),
        ("conv_hr", "upsampler.2.0"),
        ("conv_last", "upsampler.2.2"),
    ),
    ignore=SWIN_IGNORE,
)

CONVERTER = Converter(rules=(*TRUNK, ("upsample", "upsampler")), ignore=SWIN_IGNORE)
OTHER_FORMS = {
    "SwinIR": Converter(rules=(*TRUNK, *NARROWING_UPSAMPLER), ignore=SWIN_IGNORE),
    "SwinIRReal": REAL,
    "SwinIRRealLarge": REAL,
}
