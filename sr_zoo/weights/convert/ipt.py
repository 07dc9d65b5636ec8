"""IPT as in huawei-noah/Pretrained-IPT."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import EDSR_UPSAMPLER

ATTENTION = (("in_proj_weight", "qkv.weight"), ("out_proj", "project"))
ENCODER = (
    *nest("self_attn", "attention", ATTENTION),
    ("norm1", "norm_attention"),
    ("norm2", "norm_mlp"),
    ("linear1", "mlp.0"),
    ("linear2", "mlp.2"),
)
DECODER = (
    *nest("self_attn", "attention", ATTENTION),
    *nest("multihead_attn", "memory_attention", ATTENTION),
    ("norm1", "norm_attention"),
    ("norm2", "norm_memory"),
    ("norm3", "norm_mlp"),
    ("linear1", "mlp.0"),
    ("linear2", "mlp.2"),
)

CONVERTER = Converter(
    rules=(
        ("head", "heads"),
        ("body.linear_encoding", "body.embed"),
        ("body.mlp_head.0", "body.mlp.0"),
        ("body.mlp_head.3", "body.mlp.2"),
        ("body.query_embed.weight", "body.tasks"),
        ("body.position_encoding.pe.weight", "body.positions"),
        *nest("body.encoder.layers.{i}", "body.encoder.{i}", ENCODER),
        *nest("body.decoder.layers.{i}", "body.decoder.{i}", DECODER),
        *nest("tail.{t}.0", "tails.{t}.0", EDSR_UPSAMPLER),
        ("tail.{t}.1", "tails.{t}.1"),
    ),
    # frozen mean shifts, and the numbers of the positions
    ignore=(r"(sub|add)_mean\.(weight|bias)", r"body\.position_encoding\.position_ids"),
)
