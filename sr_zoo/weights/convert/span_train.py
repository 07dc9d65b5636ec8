"""SPAN's training form as in Amazingren/NTIRE2024_ESR."""

from sr_zoo.weights.convert.rules import Converter, nest

# the deployed convolution lies beside its branches and is computed from them
CONV = (("conv", "deep"), ("sk", "skip"))

CONVERTER = Converter(
    rules=(
        *nest("conv_1", "trunk.head", CONV),
        *nest("block_{i+1}.c{j+1}_r", "trunk.body.{i}.convs.{j}", CONV),
        *nest("conv_2", "trunk.body_out", CONV),
        ("conv_cat", "trunk.fuse_features"),
        ("upsampler", "upsampler"),
    ),
    ignore=(r".*\.eval_conv\.(weight|bias)",),
)
