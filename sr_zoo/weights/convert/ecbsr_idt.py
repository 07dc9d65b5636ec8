"""ECBSR on luminance, with identity branches, as in xindongzhang/ECBSR."""

from sr_zoo.weights.convert.rules import Converter
from sr_zoo.weights.convert.shared import EDGE_CONV, EDGE_CONV_MASKS

CONVERTER = Converter(rules=EDGE_CONV, ignore=(EDGE_CONV_MASKS,))
