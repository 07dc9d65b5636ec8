"""DITN-Real as in yongliuy/DITN."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import GATED_DEPTHWISE_FFN

LAYER = (
    ("conv1", "norm_attention.1"),
    ("conv2", "norm_ffn.1"),
    *nest("ffn", "ffn", GATED_DEPTHWISE_FFN),
)
INNER = (
    ("attn.temperature", "attention.temperature"),
    ("attn.qkv", "attention.qkv"),
    ("attn.project_out", "attention.project"),
    *LAYER,
)
SPATIAL = (
    ("SDA.scale", "attention.scale"),
    ("SDA.DConvs", "attention.context"),
    ("SDA.proj_first.0", "attention.expand"),
    ("SDA.proj_last.0", "attention.project"),
    *LAYER,
)

CONVERTER = Converter(
    rules=(
        ("sft", "head"),
        *nest("UFONE.{i}.ITLs.{j}", "body.{i}.inner.{j}", INNER),
        *nest("UFONE.{i}.SALs.{j}", "body.{i}.spatial.{j}", SPATIAL),
        ("conv_after_body", "body_out"),
        ("upsample", "upsampler"),
    ),
)

OTHER_FORMS = {"DITN": None}  # the library's reading
