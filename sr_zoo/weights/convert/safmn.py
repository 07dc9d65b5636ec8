"""SAFMN as in sunny2109/SAFMN."""

from sr_zoo.weights.convert.rules import Converter, nest

BLOCK = (
    ("norm1", "norm_mixer"),
    ("safm.mfr", "mixer.views"),
    ("safm.aggr", "mixer.mix"),
    ("norm2", "norm_ffn"),
    ("ccm.ccm", "ffn"),
)

CONVERTER = Converter(
    rules=(
        ("to_feat", "head"),
        *nest("feats.{i}", "body.{i}", BLOCK),
        ("to_img", "upsampler"),
    ),
)
