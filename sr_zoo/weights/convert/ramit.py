"""RAMiT as in rami0205/RAMiT."""

from sr_zoo.weights.convert.rules import Converter, nest

MIXER = (("exp_conv", "expand"), ("dw_conv", "depthwise"), ("pw_conv", "pointwise"))
BLOCK = (
    ("qkv_proj.qkv", "qkv"),
    ("sp_attn.logit_scale", "spatial.logit_scale"),
    ("sp_attn.relative_position_bias_table", "spatial.bias.table"),
    ("sp_attn.proj", "spatial.project"),
    ("ch_attn.logit_scale", "channel.logit_scale"),
    ("ch_attn.proj", "channel.project"),
    *nest("mobivari", "mixer", MIXER),
    ("norm1.norm", "norm_attention"),
    ("norm2.norm", "norm_ffn"),
    ("ffn.hidden", "ffn.0"),
    ("ffn.out", "ffn.2"),
)

CONVERTER = Converter(
    rules=(
        ("shallow.conv", "head"),
        *nest("stage{i+1}.blocks.block{j}", "stages.{i}.blocks.{j}", BLOCK),
        ("down{i+1}.norm.norm", "downsizings.{i}.norm"),
        *nest("down{i+1}.reduction", "downsizings.{i}.mixer", MIXER),
        *nest("bottleneck.mobivari", "bottleneck.0", MIXER),
        ("bottleneck.norm.norm", "bottleneck.1"),
        *nest("attn_mix.mobivari", "fuse_attention", MIXER),
        *nest("to_target.mobivari.mobivari{i}", "body_out.{i}", MIXER),
        ("to_target.conv", "upsampler.0"),
        ("to_target.final_conv", "tail"),
    ),
    ignore=(r".*\.relative_position_index",),  # computed here
)
