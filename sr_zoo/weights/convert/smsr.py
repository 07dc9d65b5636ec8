"""SMSR as in LongguangWang/SMSR."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import CCA_RULES, EDSR_MEAN_SHIFT

MODULE = (
    ("spa_mask", "importance"),
    ("body.ch_mask", "kinds"),
    ("body.body", "convs"),
    ("body.collect", "collect"),
    *nest("ca", "attention", CCA_RULES),
)
CONVERTER = Converter(
    rules=(
        ("head", "head"),
        *nest("body.{i}", "body.{i}", MODULE),
        ("collect", "collect"),
        ("tail.0", "upsampler.0"),
    ),
    ignore=(EDSR_MEAN_SHIFT,),
)
