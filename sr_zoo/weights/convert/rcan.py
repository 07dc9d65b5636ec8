"""RCAN as in yulunzhang/RCAN, which is built upon EDSR-PyTorch."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import EDSR_MEAN_SHIFT, EDSR_TAIL

BLOCK = (
    ("body.0", "convs.0"),
    ("body.2", "convs.2"),
    ("body.3.conv_du.0", "attention.squeeze"),
    ("body.3.conv_du.2", "attention.expand"),
)

CONVERTER = Converter(
    rules=(
        ("head.0", "head"),
        *nest("body.{i}.body.{j}", "body.{i}.blocks.{j}", BLOCK),
        ("body.{i}.body.20", "body.{i}.conv"),
        ("body.10", "body_out"),
        *EDSR_TAIL,
    ),
    ignore=(EDSR_MEAN_SHIFT,),
)
