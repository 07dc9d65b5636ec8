"""SMFANet as in Zheng-MJ/SMFANet."""

from sr_zoo.weights.convert.rules import Converter, nest

AGGREGATION = (
    ("linear_0", "expand"),
    ("dw_conv", "modulation.view"),
    ("alpha", "modulation.view_weight"),
    ("belt", "modulation.variance_weight"),
    ("linear_1", "modulation.gate"),
    ("lde.conv_0.0", "local.0"),
    ("lde.conv_0.1", "local.1"),
    ("lde.conv_1", "local.3"),
    ("linear_2", "project"),
)
FFN = (("conv_0", "expand"), ("conv_1", "local"), ("conv_2", "project"))

CONVERTER = Converter(
    rules=(
        ("to_feat", "head"),
        *nest("feats.{i}.smfa", "body.{i}.aggregation", AGGREGATION),
        *nest("feats.{i}.pcfn", "body.{i}.ffn", FFN),
        ("to_img", "upsampler"),
    ),
)
