"""SAFMN's NTIRE 2023 form as in sunny2109/SAFMN."""

from sr_zoo.weights.convert.rules import Converter, nest

BLOCK = (
    ("safm.mfr", "mixer.views"),
    ("safm.aggr", "mixer.mix"),
    ("ccm.ccm", "ffn"),
)

CONVERTER = Converter(
    rules=(
        ("to_feat", "head"),
        ("norm.gamma", "norm.weight"),
        ("norm.beta", "norm.bias"),
        *nest("feats.{i}", "body.{i}", BLOCK),
        ("to_img", "upsampler"),
    ),
)
