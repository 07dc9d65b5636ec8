"""CRAFT as in AVC2-UESTC/CRAFT-SR."""

from sr_zoo.weights.convert.rules import nest
from sr_zoo.weights.convert.shared import GATED_DEPTHWISE_FFN, FlatBiasConverter

LOW = (
    ("norm1", "norm_attention"),
    ("qkv", "qkv"),
    ("get_v", "local"),
    ("proj", "project"),
    ("norm2", "norm_mlp"),
    ("mlp.fc1", "mlp.0"),
    ("mlp.fc2", "mlp.2"),
)
HIGH = (("conv", "conv"), ("fc", "sharpen.1"), ("last_fc", "project"))
FUSION = (
    ("norm1.body", "norm_attention"),
    ("attn.temperature", "attention.temperature"),
    ("attn.q", "attention.query.0"),
    ("attn.q_dwconv", "attention.query.1"),
    ("attn.kv", "attention.key_value.0"),
    ("attn.kv_dwconv", "attention.key_value.1"),
    ("attn.project_out", "attention.project"),
    ("norm2.body", "norm_ffn"),
    *nest("ffn", "ffn", GATED_DEPTHWISE_FFN),
)

CONVERTER = FlatBiasConverter(
    rules=(
        ("conv_first", "head"),
        *nest("layers.{i}.residual_group.srwa_blocks.{j}", "body.{i}.low.{j}", LOW),
        *nest("layers.{i}.residual_group.hfer_blocks.{j}", "body.{i}.high.{j}", HIGH),
        *nest("layers.{i}.residual_group.hf_blocks.{j}", "body.{i}.fusion.{j}", FUSION),
        ("layers.{i}.conv", "body.{i}.project"),
        ("norm.body", "norm"),
        ("conv_after_body", "body_out"),
        ("upsample", "upsampler"),
    ),
    ignore=(
        r".*\.attns\.\d\.pos\..*",  # the position bias of a half
        r"relative_position_index_[hv]|biases_[hv]",  # its tables
    ),
)
