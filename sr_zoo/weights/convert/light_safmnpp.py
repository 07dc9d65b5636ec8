"""Light SAFMN++ as in sunny2109/SAFMN."""

from sr_zoo.weights.convert.rules import Converter, nest

BLOCK = (
    ("conv1.proj", "0.expand"),
    ("conv1.dwconv", "0.view"),
    ("conv1.out", "0.project"),
    ("conv2.conv", "1"),
)

CONVERTER = Converter(
    rules=(
        ("to_feat", "head"),
        *nest("feats.{i}", "body.{i}", BLOCK),
        ("to_img", "upsampler"),
    ),
)
