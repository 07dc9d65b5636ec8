"""SCNet as in Aitical/SCNet, with bilinear stages and with pixel shuffles."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(
        ("conv_first", "head.0"),
        ("body.{i}.conv1", "body.{i}.expand"),
        ("body.{i}.conv2", "body.{i}.project"),
        ("upconv{i+1}.up_layer.1", "upsampler.{i}.1.expand"),
        ("upconv{i+1}.up_layer.4", "upsampler.{i}.1.project"),
        ("conv_hr", "tail.0"),
        ("conv_last", "tail.2"),
    ),
)

OTHER_FORMS = {
    "SCNetPS": Converter(
        rules=(
            ("conv_first", "head.0"),
            ("body.{i}.conv1", "body.{i}.expand"),
            ("body.{i}.conv2", "body.{i}.project"),
            ("upconv{i+1}.up_layer.0", "upsampler.{i}.0.expand"),
            ("upconv{i+1}.up_layer.3", "upsampler.{i}.0.project"),
            ("conv_hr", "tail.0"),
            ("conv_last", "tail.2"),
        ),
    )
}
