"""SAFMN as in sunny2109/SAFMN, the paper's and NTIRE 2023's form."""

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

NTIRE_BLOCK = (
    ("safm.mfr", "mixer.views"),
    ("safm.aggr", "mixer.mix"),
    ("ccm.ccm", "ffn"),
)
OTHER_FORMS = {
    "SAFMNNTIRE": Converter(
        rules=(
            ("to_feat", "head"),
            ("norm.gamma", "norm.weight"),
            ("norm.beta", "norm.bias"),
            *nest("feats.{i}", "body.{i}", NTIRE_BLOCK),
            ("to_img", "upsampler"),
        ),
    )
}
