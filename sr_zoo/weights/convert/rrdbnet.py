"""RRDBNet as in XPixelGroup/BasicSR, with the names of xinntao/ESRGAN before and after 2020."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import NEAREST_UPSAMPLER

CONVERTER = Converter(
    rules=(
        ("conv_first", "head"),
        ("body.{i}.rdb{j+1}.conv{k+1}", "body.{i}.{j}.convs.{k}"),
        ("conv_body", "body_out"),
        *nest("", "upsampler", NEAREST_UPSAMPLER),
    )
)
OTHER_LAYOUTS = (
    Converter(
        rules=(
            ("conv_first", "head"),
            ("RRDB_trunk.{i}.RDB{j+1}.conv{k+1}", "body.{i}.{j}.convs.{k}"),
            ("trunk_conv", "body_out"),
            ("upconv1", "upsampler.0.0.1"),
            ("upconv2", "upsampler.0.1.1"),
            ("HRconv", "upsampler.1"),
            ("conv_last", "upsampler.3"),
        )
    ),
    Converter(
        rules=(
            ("model.0", "head"),
            ("model.1.sub.{i}.RDB{j+1}.conv{k+1}.0", "body.{i}.{j}.convs.{k}"),
            ("model.1.sub.{i}", "body_out"),  # behind the blocks, however many there are
            ("model.3", "upsampler.0.0.1"),
            ("model.6", "upsampler.0.1.1"),
            ("model.8", "upsampler.1"),
            ("model.10", "upsampler.3"),
        )
    ),
)
OTHER_FORMS = {"RRDBNetUnshuffled": CONVERTER}
