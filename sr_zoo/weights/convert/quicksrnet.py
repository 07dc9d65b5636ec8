"""QuickSRNet as in quic/aimet-model-zoo, small and medium."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(rules=(("cnn", "body"), ("conv_last", "tail")))
