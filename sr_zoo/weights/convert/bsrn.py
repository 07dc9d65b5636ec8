"""BSRN as in xiaom233/BSRN."""

from sr_zoo.weights.convert.rules import Converter, nest
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
