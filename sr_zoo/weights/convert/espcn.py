"""ESPCN as in ECNUSR/ETDS."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(("conv1", "head"), ("conv2", "body"), ("conv3", "upsampler.0")),
)
