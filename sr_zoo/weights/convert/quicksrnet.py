"""QuickSRNet as in quic/aimet-model-zoo."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(rules=(("cnn", "body"), ("conv_last", "tail"), ("anchor.net", "skip")))
