"""DRSAN in a torch layout of the variables in saturnian77/DRSAN (TensorFlow 1).

Whoever exports the authors' checkpoints also has to transpose kernels from HWIO and to reorder the
outputs of the upsampler's convolutions, since TensorFlow shuffles (row, column, channel) where
torch shuffles (channel, row, column).
"""

from sr_zoo.weights.convert.rules import Converter, nest

GROUP = (
    ("drm.conv1", "skip_weights.0"),
    ("drm.prelu", "skip_weights.1"),
    ("drm.conv2", "skip_weights.2"),
    ("rb.{j}.prelu1", "blocks.{j}.0"),
    ("rb.{j}.conv1", "blocks.{j}.1"),
    ("rb.{j}.prelu2", "blocks.{j}.2"),
    ("rb.{j}.conv2", "blocks.{j}.3"),
    ("fuse", "fuse_features"),
)

CONVERTER = Converter(
    rules=(
        ("head", "head"),
        *nest("body.{i}", "body.{i}", GROUP),
        ("tail", "body_out"),
        ("up.{i}", "upsampler.{i}.0"),
        ("last", "tail"),
    ),
)
