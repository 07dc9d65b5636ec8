"""Swin2SR as in mv-lab/swin2sr."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import SWIN_BLOCK, SWIN_IGNORE, SWIN_TRUNK

BLOCK = (
    ("attn.q_bias", "attention.query_bias"),
    ("attn.v_bias", "attention.value_bias"),
    ("attn.logit_scale", "attention.log_scale"),
    ("attn.cpb_mlp", "attention.bias.mlp"),
    *SWIN_BLOCK,
)

CONVERTER = Converter(
    rules=(
        ("layers.{i}.conv", "body.{i}.conv.0"),
        ("layers.{i}.patch_embed.proj", "body.{i}.conv.1"),
        ("patch_embed.proj", "embed"),
        *SWIN_TRUNK,
        *nest("layers.{i}.residual_group.blocks.{j}", "body.{i}.blocks.{j}", BLOCK),
        ("upsample", "upsampler"),
    ),
    ignore=(*SWIN_IGNORE, r".*\.relative_coords_table"),
)
