"""ECBSR on luminance as in xindongzhang/ECBSR, on RGB as in ECNUSR/ETDS."""

from sr_zoo.weights.convert.rules import Converter
from sr_zoo.weights.convert.shared import EDGE_CONV, EDGE_CONV_MASKS

CONVERTER = Converter(rules=EDGE_CONV, ignore=(EDGE_CONV_MASKS,))
RGB_DEPLOYED = Converter(rules=(("backbone", "body"),))
OTHER_FORMS = {
    "PlainECBSR": Converter(
        rules=(("backbone.{i}.conv3x3", "body.{i}.0"), ("backbone.{i}.act", "body.{i}.1")),
    ),
    "PlainECBSRRGB": RGB_DEPLOYED,
    "TransformedECBSR": RGB_DEPLOYED,
}
