"""SPAN's deployed form as in Amazingren/NTIRE2024_ESR."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(
        ("conv_1.eval_conv", "trunk.head"),
        ("block_{i+1}.c{j+1}_r.eval_conv", "trunk.body.{i}.convs.{j}"),
        ("conv_2.eval_conv", "trunk.body_out"),
        ("conv_cat", "trunk.fuse_features"),
        ("upsampler", "upsampler"),
    ),
)
