"""DLGSANet as in NeonLeexiang/DLGSANet."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import GATED_DEPTHWISE_FFN

DYNAMIC = (
    ("norm1.body", "norm_attention"),
    ("IDynamicDWConv.conv0", "attention.0"),
    ("IDynamicDWConv.conv.conv1", "attention.1.describe"),
    ("IDynamicDWConv.conv.conv2.0", "attention.1.kernels"),
    ("IDynamicDWConv.conv1", "attention.2"),
    ("norm2.body", "norm_ffn"),
    *nest("IDynamic_ffn", "ffn", GATED_DEPTHWISE_FFN),
)
SPARSE = (
    ("norm3.body", "norm_attention"),
    ("restormer_attn.temperature", "attention.temperature"),
    ("restormer_attn.qkv", "attention.qkv.0"),
    ("restormer_attn.qkv_dwconv", "attention.qkv.1"),
    ("restormer_attn.project_out", "attention.project"),
    ("norm4.body", "norm_ffn"),
    *nest("restormer_ffn", "ffn", GATED_DEPTHWISE_FFN),
)
MOST_PAIRS = 4  # per group; in DLGSANet of full size

CONVERTER = Converter(
    rules=(
        ("overlap_embed.0.proj", "head"),
        *(
            rule
            for j in range(MOST_PAIRS)
            for rule in (
                *nest(
                    f"deep_feature_extraction.{{i}}.body.{2 * j}",
                    f"body.{{i}}.body.{2 * j}",
                    DYNAMIC,
                ),
                *nest(
                    f"deep_feature_extraction.{{i}}.body.{2 * j + 1}",
                    f"body.{{i}}.body.{2 * j + 1}",
                    SPARSE,
                ),
            )
        ),
        ("deep_feature_extraction", "body"),  # the convolutions behind each chain of blocks
        ("upsample", "upsampler"),
    ),
)
