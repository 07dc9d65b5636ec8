"""PCSR as in 3587jjh/PCSR, on FSRCNN and on CARN-M."""

from sr_zoo.weights.convert.rules import Converter, Rule, nest
from sr_zoo.weights.convert.shared import CARN_M, SHARED_SLOPE_FSRCNN

DEEPEST = 16  # hidden layers; theirs count the ReLUs too, so that each needs a rule of its own
PERCEPTRON: tuple[Rule, ...] = (
    ("imnet.layers.0", "head"),
    *((f"imnet.layers.{2 * i + 2}", f"layers.{i}") for i in range(DEEPEST)),
)
PERCEPTRONS = (
    *nest("heavy_sampler", "heavy", PERCEPTRON),
    *nest("light_sampler", "light", PERCEPTRON),
    *nest("classifier", "classifier", PERCEPTRON),
)

CONVERTER = Converter(rules=(*nest("encoder", "encoder", SHARED_SLOPE_FSRCNN), *PERCEPTRONS))

OTHER_FORMS = {
    "PCSRCARN": Converter(rules=(*nest("encoder", "encoder", CARN_M), *PERCEPTRONS)),
}
