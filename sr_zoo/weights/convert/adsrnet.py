"""ADSRNet as in hellloxiaotian/ADSRNet."""

from sr_zoo.weights.convert.rules import Converter, Rule, nest
from sr_zoo.weights.convert.shared import EDSR_MEAN_SHIFT, EDSR_UPSAMPLER

DEEPEST = 16  # blocks; each needs rules of its own


def block(i: int) -> tuple[Rule, ...]:
    """Return the rules of a heterogeneous block, whose convolutions are numbered throughout."""
    dilated, dynamic, plain = (f"Block.conv{3 * i + offset}.0" for offset in (2, 3, 4))
    ours = f"heterogeneous.{i + 2}.body"
    return (
        (dilated, f"{ours}.0"),
        (f"{dynamic}.attention.net", f"{ours}.2.router"),
        (dynamic, f"{ours}.2"),
        (plain, f"{ours}.4"),
    )


CONVERTER = Converter(
    rules=(
        ("conv17.0", "tail"),
        ("conv{i+1}.0", "symmetric.convs.{i}"),
        ("Block.conv1.0", "heterogeneous.0"),
        *(rule for i in range(DEEPEST) for rule in block(i)),
        *nest("upsample.up.body", "upsampler", EDSR_UPSAMPLER),
    ),
    ignore=(EDSR_MEAN_SHIFT,),
)
