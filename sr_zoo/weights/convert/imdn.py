"""IMDN and IMDN_RTC as in Zheng222/IMDN."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import CCA_RULES, MULTI_DISTILLATION

CONVERTER = Converter(
    rules=(
        ("fea_conv", "head"),
        *nest("IMDB{i+1}", "body.{i}", MULTI_DISTILLATION),
        *nest("IMDB{i+1}.cca", "body.{i}.attention", CCA_RULES),
        ("c", "fuse_features"),
        ("LR_conv", "body_out"),
        ("upsampler", "upsampler"),
    ),
)

OTHER_FORMS = {
    "IMDNRTC": Converter(
        rules=(
            ("model.0", "head"),
            *nest("model.1.sub.{i}", "body.{i}", MULTI_DISTILLATION),
            ("model.1.sub.5", "body_out"),
            ("model.2", "upsampler.0"),
        ),
    )
}
