"""PAN as in zhaohengyuan1/PAN."""

from sr_zoo.weights.convert.rules import Converter, nest

BLOCK = (
    ("conv1_a", "plain.0"),
    ("k1.0", "plain.2"),
    ("conv1_b", "gated.0"),
    ("PAConv.k2", "gated.2.gate"),
    ("PAConv.k3", "gated.2.values"),
    ("PAConv.k4", "gated.2.project"),
    ("conv3", "project"),
)

CONVERTER = Converter(
    rules=(
        ("conv_first", "head"),
        *nest("SCPA_trunk.{i}", "body.{i}", BLOCK),
        ("trunk_conv", "body_out"),
        ("upconv{i+1}", "upsampler.{i}.1"),
        ("att{i+1}.conv", "upsampler.{i}.2.gate"),
        ("HRconv{i+1}", "upsampler.{i}.4"),
        ("conv_last", "tail"),
    ),
)
