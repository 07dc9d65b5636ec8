"""EDSR's baseline as in sanghyun-son/EDSR-PyTorch."""

from sr_zoo.weights.convert.rules import Converter
from sr_zoo.weights.convert.shared import EDSR_MEAN_SHIFT, EDSR_TAIL

CONVERTER = Converter(
    rules=(
        ("head.0", "head"),
        ("body.{i}.body", "body.{i}.convs"),
        ("body.16", "body_out"),
        *EDSR_TAIL,
    ),
    ignore=(EDSR_MEAN_SHIFT,),
)
