"""FSRCNN as in ECNUSR/ETDS, and as in 3587jjh/PCSR."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import SHARED_SLOPE_FSRCNN

CONVERTER = Converter(
    rules=(("first_part", "head"), ("mid_part", "body"), ("last_part", "upsampler")),
)

OTHER_FORMS = {
    "SharedSlopeFSRCNN": Converter(
        rules=(*nest("", "trunk", SHARED_SLOPE_FSRCNN), ("tail_conv", "upsampler")),
    )
}
