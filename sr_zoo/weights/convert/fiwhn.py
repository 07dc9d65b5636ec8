"""FIWHN as in IVIPLab/FIWHN."""

import re
from collections.abc import Mapping

from torch import Tensor

from sr_zoo.models.fiwhn import ColorShift
from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import EFFICIENT_TRANSFORMER

ATTENTION = (
    ("cweight", "channel_weight"),
    ("cbias", "channel_bias"),
    ("sweight", "spatial_weight"),
    ("sbias", "spatial_bias"),
    ("gn.weight", "norm_weight"),
    ("gn.bias", "norm_bias"),
)
UNIT = (
    ("body", "body"),
    ("res_scale.scale", "body_scale"),
    ("x_scale.scale", "skip_scale"),
    *nest("SAlayer", "attention", ATTENTION),
)
GATE = (
    ("upper_branch.1", "mean.0"),
    ("upper_branch.3", "mean.2"),
    ("lower_branch.0", "deviation.0"),
    ("lower_branch.2", "deviation.2"),
)
BLOCK = (
    *nest("srb1", "enter_a", UNIT),
    *nest("srb2", "enter_b", UNIT),
    *nest("rb1", "refine_a", UNIT),
    *nest("rb2", "refine_b", UNIT),
    *nest("srb3", "leave_a", UNIT),
    *nest("srb4", "leave_b", UNIT),
    *nest("A1_coffconv", "gate_a1", GATE),
    *nest("A2_coffconv", "gate_a2", GATE),
    *nest("B1_coffconv", "gate_b1", GATE),
    *nest("B2_coffconv", "gate_b2", GATE),
    ("conv_distilled1", "distil_b"),
    ("conv_distilled2", "distil_a"),
    ("scale_x1.scale", "scale_a"),
    ("scale_x2.scale", "scale_b"),
    *nest("fuse1", "fuse", UNIT),
    ("fuse1.conv", "fuse.skip"),
    ("fuse2", "fuse_gate"),
)


class FIWHNConverter(Converter):
    """Knows what only some checkpoints hold.

    Those of x2 and x3 have attention layers and skips that nothing uses. The colour shifts around
    the network are left out where they are the constants that they start as.
    """

    DEAD = r"MY\d\.(.*\.SAlayer\..*|s?rb\d\.x_scale\.scale)"
    ATTENTIVE_OUTPUTS = 48  # of the last convolution: 3 * 4**2

    def ignored(self, state: Mapping[str, Tensor]) -> set[str]:
        ignored = super().ignored(state)
        upsampler = state.get("UP1.0.weight")
        if upsampler is not None and upsampler.shape[0] != self.ATTENTIVE_OUTPUTS:
            ignored |= {name for name in state if re.fullmatch(self.DEAD, name)}
        return ignored

    def load(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**color_shifts(), **super().load(state)}

    def save(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        constant = color_shifts()
        if all(name in state and state[name].equal(constant[name]) for name in constant):
            state = {name: tensor for name, tensor in state.items() if name not in constant}
        return super().save(state)


def color_shifts() -> dict[str, Tensor]:
    """Return the colour shifts before training, by our names."""
    return {
        f"{name}.{key}": tensor
        for name, sign in (("subtract_mean", -1), ("add_mean", 1))
        for key, tensor in ColorShift(sign).state_dict().items()
    }


CONVERTER = FIWHNConverter(
    rules=(
        ("Sub_mean", "subtract_mean"),
        ("head", "head"),
        *nest("MY{i+1}", "blocks.{i}", BLOCK),
        ("conv_concat1", "fuse_first.0"),
        ("conv_concat2", "fuse_last.0"),
        ("scale_x.scale", "body_scale"),
        ("scale_res.scale", "skip_scale"),
        ("conv_down", "to_transformer"),
        *nest("attention{i+1}", "transformer.{i}", EFFICIENT_TRANSFORMER),
        ("conv_up", "from_transformer"),
        ("conv", "fuse"),
        ("conv1", "body_out"),
        ("UP1", "upsampler"),
        ("conv2", "image_head"),
        ("UP2", "image_upsampler"),
        ("Add_mean", "add_mean"),
    ),
)
