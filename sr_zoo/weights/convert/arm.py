"""ARM as in chenbong/ARM-Net, on FSRCNN and on CARN-M."""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import (
    CARN_M,
    CARN_M_UPSAMPLER,
    EDSR_MEAN_SHIFT,
    SHARED_SLOPE_FSRCNN,
)

CONVERTER = Converter(
    rules=(*nest("", "trunk", SHARED_SLOPE_FSRCNN), ("tail_conv", "upsampler")),
)

OTHER_FORMS = {
    "ARMCARN": Converter(
        rules=(
            ("b{i+1}.c{j+1}.0", "trunk.body.steps.{i}.mix.{j}"),
            ("c{i+1}.0", "trunk.body.mix.{i}"),
            *nest("", "trunk", CARN_M),
            *CARN_M_UPSAMPLER,
        ),
        ignore=(EDSR_MEAN_SHIFT,),
    )
}
