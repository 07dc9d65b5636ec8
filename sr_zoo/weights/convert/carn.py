"""CARN as in nmhkahn/CARN-pytorch; `up` is the upsampler of a network for one scale.

`carn_m_pcsr` is as in 3587jjh/PCSR.
"""

from sr_zoo.weights.convert.rules import Converter, nest
from sr_zoo.weights.convert.shared import CARN_M, CARN_M_UPSAMPLER

STAGES = (("body.0", "0.0"), ("body.3", "1.0"))

CONVERTER = Converter(
    rules=(
        ("entry", "head"),
        ("b{i+1}.b{j+1}.body", "body.steps.{i}.steps.{j}.convs"),
        ("b{i+1}.c{j+1}.body.0", "body.steps.{i}.mix.{j}"),
        ("c{i+1}.body.0", "body.mix.{i}"),
        *nest("upsample.up{scale}", "upsampler.x{scale}", STAGES),
        *nest("upsample.up", "upsampler", STAGES),
        ("exit", "tail"),
    ),
    ignore=(r"(sub|add)_mean\.shifter\.(weight|bias)",),
)

OTHER_FORMS = {
    "NormalisedCARN": Converter(rules=(*nest("", "trunk", CARN_M), *CARN_M_UPSAMPLER)),
}
