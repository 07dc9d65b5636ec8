"""SeemoRe as in eduardzamfir/seemoredetails."""

from sr_zoo.weights.convert.rules import Converter, nest

FFN = (("fn_1.0", "expand"), ("fn_2.0", "project"), ("gate", "gate"))
BLOCK = (("norm_1", "norm_mixer"), ("norm_2", "norm_ffn"), *nest("ffn", "ffn", FFN))
LOCAL_MIXER = (
    ("conv_1", "expand"),
    ("agg_conv.0", "context.pool"),
    ("conv", "context.mix"),
    ("conv_2.0.conv", "values.0"),
    ("moe_layer.experts.{e}.conv_1", "experts.experts.{e}.values"),
    ("moe_layer.experts.{e}.conv_2", "experts.experts.{e}.context"),
    ("moe_layer.experts.{e}.conv_3", "experts.experts.{e}.expand"),
    ("moe_layer.gate.body.2", "experts.router.score"),
    ("proj", "project"),
)
GLOBAL_MIXER = (("to_qv.0", "expand"), ("attn.conv", "strip"), ("proj", "project"))

CONVERTER = Converter(
    rules=(
        ("conv_1", "head"),
        ("norm", "norm"),
        ("conv_2", "body_out"),
        ("upsampler", "upsampler"),
        *nest("body.{i}.local_block", "body.{i}.0", BLOCK),
        *nest("body.{i}.local_block.block", "body.{i}.0.mixer", LOCAL_MIXER),
        *nest("body.{i}.global_block", "body.{i}.1", BLOCK),
        *nest("body.{i}.global_block.block", "body.{i}.1.mixer", GLOBAL_MIXER),
    ),
)
