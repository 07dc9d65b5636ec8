"""SAFMN++ and its light form as in sunny2109/SAFMN."""

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

LIGHT_BLOCK = (
    ("conv1.proj", "0.expand"),
    ("conv1.dwconv", "0.view"),
    ("conv1.out", "0.project"),
    ("conv2.conv", "1"),
)
OTHER_FORMS = {
    "LightSAFMNPP": Converter(
        rules=(
            ("to_feat", "head"),
            *nest("feats.{i}", "body.{i}", LIGHT_BLOCK),
            ("to_img", "upsampler"),
        ),
    )
}
