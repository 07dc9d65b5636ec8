"""ETDS as in ECNUSR/ETDS, in training and deployed."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(
        ("conv_first", "head"),
        ("conv_residual_first", "residual_head"),
        ("backbone_convs.{i}", "body.{i}.backbone"),
        ("residual_convs.{i}", "body.{i}.residual"),
        ("add_residual_convs.{i}", "body.{i}.inject"),
        ("conv_last", "tail"),
        ("conv_residual_last", "residual_tail"),
    ),
)

OTHER_FORMS = {
    "DeployedETDS": Converter(
        rules=(
            ("conv_first", "head"),
            ("backbone_convs.{i}", "body.{i}"),
            ("conv_last", "tail"),
            ("conv_clip", "clip"),
        ),
    )
}
