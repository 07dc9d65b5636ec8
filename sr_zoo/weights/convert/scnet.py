"""SCNet as in Aitical/SCNet, the form with bilinear stages."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(
        ("conv_first", "head.0"),
        ("body.{i}.conv1", "body.{i}.expand"),
        ("body.{i}.conv2", "body.{i}.project"),
        ("upconv{i+1}.up_layer.1", "upsampler.{i}.1.expand"),
        ("upconv{i+1}.up_layer.4", "upsampler.{i}.1.project"),
        ("conv_hr", "tail.0"),
        ("conv_last", "tail.2"),
    ),
)
