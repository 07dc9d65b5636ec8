"""SwinIR as in JingyunLiang/SwinIR."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import SWIN_BLOCK, SWIN_IGNORE, SWIN_TRUNK

CONVERTER = Converter(
    rules=(
        *SWIN_TRUNK,
        *nest("layers.{i}.residual_group.blocks.{j}", "body.{i}.blocks.{j}", SWIN_BLOCK),
        ("conv_before_upsample", "before_upsampler"),
        ("upsample.0", "upsampler.0.0"),
        ("upsample.2", "upsampler.1.0"),
        ("upsample.4", "upsampler.2.0"),
        ("conv_last", "tail"),
    ),
    ignore=SWIN_IGNORE,
)
