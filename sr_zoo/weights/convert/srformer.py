"""SRFormer as in HVision-NKU/SRFormer, lightweight and classical."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import (
    NARROWING_UPSAMPLER,
    SWIN_BLOCK,
    SWIN_IGNORE,
    SWIN_TRUNK,
)

BLOCK = (
    ("attn.q", "attention.query"),
    ("attn.kv", "attention.key_value"),
    ("mlp.fc1", "ffn.expand"),
    ("mlp.dwconv.depthwise_conv.0", "ffn.depthwise"),
    ("mlp.fc2", "ffn.project"),
    *SWIN_BLOCK,
)

TRUNK = (
    *SWIN_TRUNK,
    *nest("layers.{i}.residual_group.blocks.{j}", "body.{i}.blocks.{j}", BLOCK),
)
# tables and masks, computed here
IGNORE = (*SWIN_IGNORE, r".*\.aligned_relative_position_index")

CONVERTER = Converter(rules=(*TRUNK, ("upsample", "upsampler")), ignore=IGNORE)
OTHER_FORMS = {"SRFormer": Converter(rules=(*TRUNK, *NARROWING_UPSAMPLER), ignore=IGNORE)}
