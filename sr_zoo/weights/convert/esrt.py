"""ESRT as in luissen/ESRT."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import CCA_RULES, EDSR_UPSAMPLER, EFFICIENT_TRANSFORMER

UNIT = (
    ("conv", "reduce"),
    ("relu", "act"),
    ("conv1", "expand"),
    ("weight1.scale", "skip_scale"),
    ("weight2.scale", "body_scale"),
)
ADAPTIVE_BLOCK = (
    *nest("layer1", "first", UNIT),
    *nest("layer2", "second", UNIT),
    ("weight2.scale", "second_scale"),
    ("weight3.scale", "first_scale"),
    ("alise.conv", "fuse_features.0"),
    *nest("atten", "attention", CCA_RULES),
    ("layer4.conv", "project.0"),
    ("weight4.scale", "skip_scale"),
    ("weight5.scale", "body_scale"),
)
BLOCK = (
    *nest("encoder", "enter", ADAPTIVE_BLOCK),
    *nest("decoder_low", "low", ADAPTIVE_BLOCK),
    *nest("decoder_high", "high", ADAPTIVE_BLOCK),
    ("alise2.conv", "fuse_features.0"),
    *nest("att", "attention", CCA_RULES),
    *nest("alise", "leave", ADAPTIVE_BLOCK),
)

CONVERTER = Converter(
    rules=(
        ("head.0", "head"),
        *nest("body.0.encoder{i+1}", "blocks.{i}", BLOCK),
        ("body.0.reduce", "fuse_features"),
        *nest("body.0.attention", "transformer.0", EFFICIENT_TRANSFORMER),
        ("body.0.alise", "transformer.1"),
        ("body.0.weight1.scale", "skip_scale"),
        ("body.0.weight2.scale", "transformer_scale"),
        ("reduce", "body_out"),
        *nest("tail.0", "upsampler", EDSR_UPSAMPLER),
        ("tail.1", "tail"),
        *nest("up.0", "skip_upsampler", EDSR_UPSAMPLER),
        ("up.1.conv", "skip_tail.0"),
    ),
    # their adaptive blocks have one factor more than they use
    ignore=(r"body\.0\.encoder\d\.(encoder|decoder_low|decoder_high|alise)\.weight1\.scale",),
)
