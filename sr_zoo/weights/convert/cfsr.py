"""CFSR as in Aitical/CFSR."""

from sr_zoo.weights.convert.rules import Converter, Reshape, nest

BLOCK = (
    ("layer_scale_1", "scale_mixer"),
    ("layer_scale_2", "scale_ffn"),
    ("attn.norm", "norm_mixer"),
    ("attn.a.0", "mixer.context.0"),
    ("attn.a.2.lkb_reparam", "mixer.context.2"),
    ("attn.v", "mixer.values"),
    ("attn.proj", "mixer.project"),
    ("mlp.norm", "norm_ffn"),
    ("mlp.fc1", "ffn.expand"),
    ("mlp.pos", "ffn.depthwise"),
    ("mlp.fc2", "ffn.project"),
)

CONVERTER = Converter(
    rules=(
        ("conv_first", "head"),
        *nest("layers.{i}.blocks.{j}", "body.{i}.blocks.{j}", BLOCK),
        ("layers.{i}.conv", "body.{i}.project"),
        ("norm", "norm"),
        ("conv_after_body", "body_out"),
        ("upsample", "upsampler"),
    ),
    # 1x1 convolutions that are linear layers here
    reshapes=(
        Reshape(
            r".*\.ffn\.(expand|project)\.weight",
            load=lambda weight: weight.flatten(1),
            save=lambda weight: weight[..., None, None],
        ),
    ),
)
