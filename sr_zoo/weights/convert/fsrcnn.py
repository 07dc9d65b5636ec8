"""FSRCNN as in ECNUSR/ETDS."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(("first_part", "head"), ("mid_part", "body"), ("last_part", "upsampler")),
)
