"""BSRN and BSRN-S as in xiaom233/BSRN, where the class of the small one is called RFDNFINALB5."""

from sr_zoo.weights.convert.rules import Converter, Reshape, nest
from sr_zoo.weights.convert.shared import BLUEPRINT_DISTILLATION, BLUEPRINT_ESA, BSCONV, CCA_RULES

CONVERTER = Converter(
    rules=(
        *nest("fea_conv", "head", BSCONV),
        *nest("B{i+1}", "body.{i}.distillation", BLUEPRINT_DISTILLATION),
        *nest("B{i+1}.esa.conv2", "body.{i}.spatial_attention.stride", BSCONV),
        *nest("B{i+1}.esa", "body.{i}.spatial_attention", BLUEPRINT_ESA),
        *nest("B{i+1}.cca", "body.{i}.channel_attention", CCA_RULES),
        ("c1", "fuse_features.0"),
        *nest("c2", "body_out", BSCONV),
        ("upsampler.upsampleOneStep", "upsampler"),
    ),
)

# BSRN-S's 1x1 convolutions are linear layers there, whose weights have no height and width
POINTWISE = "|".join(
    (
        r"(head|fuse_features|body_out)\.0",
        r"body\.\d+\.distillation\.(distil\.\d|refine\.\d\.0|narrow\.0|project)",
        r"body\.\d+\.attention\.(squeeze|context\.\d\.0|skip|expand)",
        r"body\.\d+\.project",
    )
)
OTHER_FORMS = {
    "BSRNS": Converter(
        rules=(
            *nest("fea_conv", "head", BSCONV),
            ("B{i+1}.cw", "body.{i}.gain"),
            ("B{i+1}.conv_out", "body.{i}.project"),
            *nest("B{i+1}", "body.{i}.distillation", BLUEPRINT_DISTILLATION),
            *nest("B{i+1}.esa", "body.{i}.attention", BLUEPRINT_ESA),
            ("c1", "fuse_features.0"),
            *nest("c2", "body_out", BSCONV),
            ("upsampler.upsampleOneStep", "upsampler"),
        ),
        reshapes=(
            Reshape(
                rf"({POINTWISE})\.weight", lambda w: w[:, :, None, None], lambda w: w.flatten(1)
            ),
            Reshape(r"body\.\d+\.gain", lambda w: w.reshape(-1, 1, 1), lambda w: w.reshape(1, -1)),
        ),
    )
}
