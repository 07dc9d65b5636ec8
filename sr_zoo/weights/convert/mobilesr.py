"""MobileSR as in sunny2109/MobileSR-NTIRE2022 and ofsoundof/NTIRE2022_ESR."""

from sr_zoo.weights.convert.rules import Converter, nest

TRANSFORMER = (
    ("pos_embed", "position"),
    ("norm1", "norm_attention"),
    ("attn.qkv", "attention.qkv"),
    ("attn.proj_out", "attention.project"),
    ("norm2", "norm_ffn"),
    ("mlp.fc", "ffn"),
)

CONVERTER = Converter(
    rules=(
        ("head", "head"),
        *nest("body.layers.{i}.0", "body.{i}.0", TRANSFORMER),
        ("body.layers.{i}.1.net", "body.{i}.1.convs"),
        ("fuse", "fuse_features"),
        ("upsapling.0", "upsampler.0.0"),  # the authors' spelling
        ("upsapling.2", "upsampler.1.0"),
        ("tail", "tail"),
    ),
)
