"""ARM as in chenbong/ARM-Net, on FSRCNN and on CARN-M."""

from sr_zoo.weights.convert.rules import Converter
from sr_zoo.weights.convert.shared import CARN_M, EDSR_MEAN_SHIFT, SHARED_SLOPE_FSRCNN

CONVERTER = Converter(rules=(*SHARED_SLOPE_FSRCNN, ("tail_conv", "upsampler")))

OTHER_FORMS = {
    "ARMCARN": Converter(
        rules=(
            *CARN_M,
            ("b{i+1}.c{j+1}.0", "body.steps.{i}.mix.{j}"),
            ("c{i+1}.0", "body.mix.{i}"),
        ),
        ignore=(EDSR_MEAN_SHIFT,),
    )
}
