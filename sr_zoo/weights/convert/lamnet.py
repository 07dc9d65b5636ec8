"""LAMNet as in zononhzy/LAMNet."""

from torch import Tensor

from sr_zoo.weights.convert.rules import Converter, Reshape, nest

RESIDUAL = (("norm.alpha", "norm.weight"), ("norm.beta", "norm.bias"), ("alpha", "scale"))
MIXER = (
    ("proj_in", "enter"),
    ("channel_branch", "channel_branch"),
    ("h_kernel", "row_weights"),
    ("v_kernel", "column_weights"),
    ("proj_out", "leave"),
)
FFN = (("project_in", "expand"), ("dwconv", "depthwise"), ("project_out", "project"))


def as_map(vector: Tensor) -> Tensor:
    """Shape one number per channel as the authors do."""
    return vector.reshape(1, -1, 1, 1)


CONVERTER = Converter(
    rules=(
        ("shallow_feature_extraction", "head"),
        *nest("deep_feature_extraction.{i}.mixers.{j}", "body.{i}.body.{j}", RESIDUAL),
        *nest("deep_feature_extraction.{i}.mixers.{j}.fn", "body.{i}.body.{j}.layer", MIXER),
        *nest("deep_feature_extraction.{i}.mixers.{j}.fn", "body.{i}.body.{j}.layer", FFN),
        ("deep_feature_extraction.{i}.alpha", "body.{i}.scale"),
        ("deep_feature_extraction", "body"),  # the convolution behind the groups
        ("alpha", "scale_body"),
        ("upsample", "upsampler"),
    ),
    ignore=(r".*\.kernel_map",),  # which weight is which pixel's; SEGMENTS here
    reshapes=(Reshape(r".*\.norm\.(weight|bias)", load=Tensor.flatten, save=as_map),),
)
