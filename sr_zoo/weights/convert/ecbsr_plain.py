"""ECBSR on luminance, deployed, as in xindongzhang/ECBSR."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(("backbone.{i}.conv3x3", "body.{i}.0"), ("backbone.{i}.act", "body.{i}.1")),
)
