"""Swin2SR as in mv-lab/swin2sr, and as Hugging Face's transformers keeps it."""

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
    ignore=(*SWIN_IGNORE, r".*\.relative_coords_table"),  # tables, computed here
)

TRANSFORMERS_BLOCK = (
    ("attention.self.query.weight", "attention.qkv.weight.0"),
    ("attention.self.key.weight", "attention.qkv.weight.1"),
    ("attention.self.value.weight", "attention.qkv.weight.2"),
    ("attention.self.query.bias", "attention.query_bias"),
    ("attention.self.value.bias", "attention.value_bias"),
    ("attention.self.logit_scale", "attention.log_scale"),
    ("attention.self.continuous_position_bias_mlp", "attention.bias.mlp"),
    ("attention.output.dense", "attention.project"),
    ("layernorm_before", "norm_attention"),
    ("layernorm_after", "norm_ffn"),
    ("intermediate.dense", "ffn.0"),
    ("output.dense", "ffn.2"),
)
TRANSFORMERS = Converter(
    rules=(
        ("swin2sr.first_convolution", "head"),
        ("swin2sr.embeddings.patch_embeddings.projection", "embed"),
        ("swin2sr.embeddings.patch_embeddings.layernorm", "norm_in"),
        ("swin2sr.encoder.stages.{i}.conv", "body.{i}.conv.0"),
        ("swin2sr.encoder.stages.{i}.patch_embed.projection", "body.{i}.conv.1"),
        *nest("swin2sr.encoder.stages.{i}.layers.{j}", "body.{i}.blocks.{j}", TRANSFORMERS_BLOCK),
        ("swin2sr.layernorm", "norm_out"),
        ("swin2sr.conv_after_body", "body_out"),
        ("upsample.conv", "upsampler.0"),
    ),
    ignore=(r".*\.relative_(coords_table|position_index)",),  # the same tables
    joined=((r".*\.attention\.qkv\.weight", 3),),
)
OTHER_LAYOUTS = (TRANSFORMERS,)
