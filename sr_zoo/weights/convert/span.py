"""SPAN as in Amazingren/NTIRE2024_ESR, deployed and in training."""

from sr_zoo.weights.convert.rules import Converter, nest

CONVERTER = Converter(
    rules=(
        ("conv_1.eval_conv", "trunk.head"),
        ("block_{i+1}.c{j+1}_r.eval_conv", "trunk.body.{i}.convs.{j}"),
        ("conv_2.eval_conv", "trunk.body_out"),
        ("conv_cat", "trunk.fuse_features"),
        ("upsampler", "upsampler"),
    ),
)

# the deployed convolution lies beside its branches and is computed from them
BRANCHES = (("conv", "deep"), ("sk", "skip"))
OTHER_FORMS = {
    "SPANTrain": Converter(
        rules=(
            *nest("conv_1", "trunk.head", BRANCHES),
            *nest("block_{i+1}.c{j+1}_r", "trunk.body.{i}.convs.{j}", BRANCHES),
            *nest("conv_2", "trunk.body_out", BRANCHES),
            ("conv_cat", "trunk.fuse_features"),
            ("upsampler", "upsampler"),
        ),
        ignore=(r".*\.eval_conv\.(weight|bias)",),
    )
}
