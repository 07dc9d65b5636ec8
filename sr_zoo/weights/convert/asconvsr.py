"""AsConvSR as in doantienthongbku/AsConvSR-TorchLighting, a third party's code."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(
    rules=(
        ("conv1", "head"),
        ("assemble.control_module.net", "body.control"),
        ("assemble.weight1", "body.convs.0.weight"),
        ("assemble.weight2", "body.convs.1.weight"),
        ("assemble.weight3", "body.convs.2.weight"),
        ("assemble.bias1", "body.convs.0.bias"),
        ("assemble.bias2", "body.convs.1.bias"),
        ("assemble.bias3", "body.convs.2.bias"),
        ("conv2", "tail"),
    ),
)
