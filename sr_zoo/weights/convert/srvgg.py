"""SRVGGNetCompact as in xinntao/Real-ESRGAN, whose names are ours."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(rules=(("body.{i}", "body.{i}"),))
