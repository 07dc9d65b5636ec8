"""SAFMN++ as in sunny2109/SAFMN."""

from sr_zoo.weights.convert.rules import Converter, nest

BLOCK = (
    ("conv1.proj", "mixer.expand"),
    ("conv1.dwconv", "mixer.view"),
    ("conv1.out", "mixer.project"),
    ("conv2.conv1", "ffn.0"),
    ("conv2.conv2", "ffn.2"),
)

CONVERTER = Converter(
    rules=(
        ("to_feat", "head"),
        *nest("feats.{i}", "body.{i}", BLOCK),
        ("to_img", "upsampler"),
    ),
)
