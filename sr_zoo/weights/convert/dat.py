"""DAT as in zhengchen1999/DAT, light and full."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import NARROWING_UPSAMPLER, SWIN_IGNORE, FlatBiasConverter

BLOCK = (
    ("norm1", "norm_attention"),
    ("norm2", "norm_ffn"),
    ("attn.qkv", "attention.qkv"),
    ("attn.proj", "attention.project"),
    ("attn.temperature", "attention.temperature"),
    ("attn.dwconv", "attention.local"),
    # theirs pools first
    ("attn.channel_interaction.1", "attention.interaction.channels.0"),
    ("attn.channel_interaction.2", "attention.interaction.channels.1"),
    ("attn.channel_interaction.4", "attention.interaction.channels.3"),
    ("attn.spatial_interaction", "attention.interaction.pixels"),
    ("ffn.fc1", "ffn.expand"),
    ("ffn.sg.norm", "ffn.norm"),
    ("ffn.sg.conv", "ffn.gate"),
    ("ffn.fc2", "ffn.project"),
)

TRUNK = (
    ("conv_first", "head"),
    ("before_RG.1", "norm_in"),
    ("norm", "norm_out"),
    ("conv_after_body", "body_out"),
    ("layers.{i}.conv", "body.{i}.conv"),
    *nest("layers.{i}.blocks.{j}", "body.{i}.blocks.{j}", BLOCK),
)
BIAS = nest(
    "layers.{i}.blocks.{j}.attn.attns.{k}.pos",
    "body.{i}.blocks.{j}.attention.biases.{k}",
    (
        ("pos_proj", "embed"),
        ("pos1", "layers.0"),
        ("pos2", "layers.1"),
        ("pos3", "layers.2"),
    ),
)
# tables and masks, computed here
IGNORE = (*SWIN_IGNORE, r".*\.attn_mask_[01]", r".*\.rpe_biases")

CONVERTER = FlatBiasConverter(
    rules=(*TRUNK, ("upsample", "upsampler")),
    ignore=(*IGNORE, r".*\.attn\.attns\.\d\.pos\..*"),  # the position bias of a half
)
OTHER_FORMS = {
    "DAT": Converter(rules=(*TRUNK, *BIAS, *NARROWING_UPSAMPLER), ignore=IGNORE),
}
