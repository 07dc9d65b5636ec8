"""SPAN's deployed form as in Amazingren/NTIRE2024_ESR."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(
        ("conv_1.eval_conv", "head"),
        ("block_{i+1}.c{j+1}_r.eval_conv", "body.{i}.convs.{j}"),
        ("conv_2.eval_conv", "body_out"),
        ("conv_cat", "fuse_features"),
        ("upsampler", "upsampler"),
    ),
)
