"""DDistill-SR as in icandle/DDistill-SR, deployed and in training."""

from sr_zoo.weights.convert.rules import Converter, Rule, nest
from sr_zoo.weights.convert.shared import ESA_THREE_CONVS

DYNAMIC: tuple[Rule, ...] = (
    ("q", "reduce.0"),
    ("bn1", "reduce.1"),
    ("bn2", "norm"),
    ("p", "expand"),
    ("fc.0", "squeeze"),
    ("fc.1.fc.0", "gate"),
    ("fc_phi", "mix"),
    ("fc_scale", "scale"),
)
DEPLOYED: tuple[Rule, ...] = (("dbb_reparam", "conv"),)
BRANCHES: tuple[Rule, ...] = (
    ("dbb_origin.conv", "conv.plain.0"),
    ("dbb_origin.bn", "conv.plain.1"),
    ("dbb_1x1.conv", "conv.pointwise.0"),
    ("dbb_1x1.bn", "conv.pointwise.1"),
    ("dbb_avg.conv", "conv.average.0"),
    ("dbb_avg.bn.bn", "conv.average.1"),
    ("dbb_avg.avgbn", "conv.average.3"),
    ("dbb_1x1_kxk.idconv1", "conv.deep.0"),
    ("dbb_1x1_kxk.bn1.bn", "conv.deep.1"),
    ("dbb_1x1_kxk.conv2", "conv.deep.2"),
    ("dbb_1x1_kxk.bn2", "conv.deep.3"),
)


def _converter(conv: tuple[Rule, ...]) -> Converter:
    unit = (*nest("dy_branch", "dynamic", DYNAMIC), *conv)
    block = (
        ("c{j+1}_d", "distil.{j}"),
        *nest("c{j+1}_r.unit", "units.{j}", unit),
        ("c4", "narrow"),
        ("c5", "project"),
        ("PAconv", "gate"),
        ("conv1x1", "mix_residuals"),
        *nest("esa", "attention", ESA_THREE_CONVS),
    )
    return Converter(
        rules=(
            ("fea_conv", "head"),
            *nest("B{i+1}", "body.{i}", block),
            ("c.0", "fuse_outputs"),
            ("cres.0", "fuse_residuals"),
            ("PAconv", "gate"),
            *nest("LR_conv.unit", "body_out", unit),
            ("upsamplerx{scale}", "upsampler.x{scale}"),
        ),
    )


CONVERTER = _converter(DEPLOYED)
OTHER_FORMS = {"DDistillSRTrain": _converter(BRANCHES)}
