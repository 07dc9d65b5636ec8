"""Omni-SR as in Francis0625/Omni-SR."""

from sr_zoo.weights.convert.rules import Converter, Rule, nest
from sr_zoo.weights.convert.shared import ESA_ONE_CONV

LOCAL = (
    ("fn.4.gate.1", "layers.4.squeeze"),
    ("fn.4.gate.3", "layers.4.expand"),
    ("fn", "layers"),
)
SPATIAL = (
    ("norm", "norm_spatial"),
    ("fn.to_qkv", "spatial.qkv"),
    ("fn.to_out.0", "spatial.project"),
    ("fn.rel_pos_bias.weight", "spatial.bias.table"),
)
CHANNEL = (
    ("norm", "norm_channel"),
    ("fn.temperature", "channel.temperature"),
    ("fn.qkv", "channel.qkv.0"),
    ("fn.qkv_dwconv", "channel.qkv.1"),
    ("fn.project_out", "channel.project"),
)


def _ffn(name: str) -> tuple[Rule, ...]:
    return (
        ("norm", f"norm_{name}"),
        ("fn.project_in", f"{name}.expand"),
        ("fn.dwconv", f"{name}.depthwise"),
        ("fn.project_out", f"{name}.project"),
    )


# steps between these rearrange the map and have no weights
BLOCK = (
    *nest("0", "0", LOCAL),
    *nest("2", "1", SPATIAL),
    *nest("4", "1", _ffn("spatial_ffn")),
    *nest("5", "1", CHANNEL),
    *nest("6", "1", _ffn("channel_ffn")),
    *nest("8", "2", SPATIAL),
    *nest("10", "2", _ffn("spatial_ffn")),
    *nest("11", "2", CHANNEL),
    *nest("12", "2", _ffn("channel_ffn")),
)

CONVERTER = Converter(
    rules=(
        ("input", "head"),
        ("output", "body_out"),
        ("up", "upsampler"),
        *nest("residual_layer.{i}.residual_layer.0.layer", "body.{i}.body", BLOCK),
        ("residual_layer.{i}.residual_layer.1", "body.{i}.body.3"),
        *nest("residual_layer.{i}.esa", "body.{i}.attention", ESA_ONE_CONV),
    ),
    # what a counter of operations left in the authors' files
    ignore=(r".*\.total_(ops|params)", r"total_(ops|params)"),
)
