"""ShuffleMixer as in sunny2109/ShuffleMixer."""

from sr_zoo.weights.convert.rules import Converter, nest

LAYER = (
    ("norm1.body", "norm_in"),
    ("mlp1.fc", "mlp_in.mlp"),
    ("spatial", "spatial"),
    ("norm2.body", "norm_out"),
    ("mlp2.fc", "mlp_out.mlp"),
)

CONVERTER = Converter(
    rules=(
        ("to_feat", "head"),
        *nest("blocks.{i}.net.{j}", "body.{i}.mixers.{j}", LAYER),
        ("blocks.{i}.conv", "body.{i}.convs"),
        ("upsapling.0", "upsampler.0.0"),  # the authors' spelling
        ("upsapling.3", "upsampler.1.0"),
        ("tail", "tail"),
    ),
)
