"""AWSRN as in ChaofWang/AWSRN; its weight normalisation is torch's old one."""

from sr_zoo.weights.convert.rules import Converter, nest

CONV = (("weight_v", "direction"), ("weight_g", "length"), ("bias", "bias"))
GAINS = (("res_scale.scale", "gain"), ("x_scale.scale", "skip_gain"))
UNIT = (*nest("body.0", "module.0", CONV), *nest("body.2", "module.2", CONV), *GAINS)

CONVERTER = Converter(
    rules=(
        *nest("head.0", "head", CONV),
        *nest("body.{i}.b{j}", "body.{i}.module.units.{j}", UNIT),
        *nest("body.{i}.reduction", "body.{i}.module.reduction", CONV),
        *nest("body.{i}", "body.{i}", GAINS),
        *nest("tail.tail_k{k}", "tail.k{k}.conv", CONV),
        ("tail.scale_k{k}.scale", "tail.k{k}.gain"),
        *nest("skip.0", "skip", CONV),
    ),
)
