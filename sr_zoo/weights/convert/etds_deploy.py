"""ETDS, deployed, as in ECNUSR/ETDS."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(
        ("conv_first", "head"),
        ("backbone_convs.{i}", "body.{i}"),
        ("conv_last", "tail"),
        ("conv_clip", "clip"),
    ),
)
