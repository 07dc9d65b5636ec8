"""Training reaches all of a network: one image pair gives all parameters that learn a gradient."""

import re

import pytest
import torch
from test_models import FIRST_OF_FORM
from thin import build_thin
from torch.nn import functional as F

from sr_zoo.blocks import MoRE
from sr_zoo.registry import MODELS, spec_of

# other arguments than those of the first name of each form
NAMES = sorted({*FIRST_OF_FORM, "carn_m", "ipt_small", "ramit_1", "ecbsr_m10c32"} - {"ipt"})

SHIFT_OF_LOGITS = r".*\.biases\.\d\.layers\.2\.2\.bias"  # its gradient is 0, or rounding

# parameters that one image pair need not reach, and why
UNREACHED = {
    "dat": {
        r".*\.(local|channels|pixels)\.0\.bias": "shifts what batch normalisation centres",
        SHIFT_OF_LOGITS: "shifts what a softmax does not see the shift of",
    },
    "dat_light": {
        r".*\.0\.bias": "shifts what batch normalisation centres",
        SHIFT_OF_LOGITS: "as above",
    },
    "drsan_32l": {r".*\.blocks\.\d+\.[02]\.weight": "a PReLU's slope for values that none was"},
    "elan": {r".*project_in\.0\.bias": "shifts what batch normalisation centres"},
    "seemore_b": {r".*\.experts\.experts\..*": "the router picked another expert"},
}
# sizes at which everything learns: DAT needs some width; in 200 blocks of few channels, as RCAN
# has, values grow until all gates of an attention are 1 to the last digit
SIZES = {"dat": {"channels": 96, "depths": (2, 2)}, "rcan": {"num_groups": 2, "num_blocks": 2}}
FILTER_BIAS = (
    r".*(sobel_[xy]|laplacian)\.0\.bias"  # shifts every pixel alike, and a flat has no edges
)


def unreached(name: str, network: torch.nn.Module) -> list[str]:
    """Return the parameters that a step leaves as they are, but for what a float32 rounds to 0."""
    torch.manual_seed(0)
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():  # scales that start at zero hide what they scale
            parameter.add_(0.05 * torch.randn_like(parameter))
    output = network.train()(torch.randn(2, 3, 17, 18, dtype=torch.float64))
    F.mse_loss(output, torch.rand_like(output)).backward()
    return [
        parameter_name
        for parameter_name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("leaky")
def test_a_step_reaches_every_parameter(name):
    network = build_thin(name, max(spec_of(name).variants[name].scales), **SIZES.get(name, {}))
    if not list(network.parameters()):
        assert MODELS[name] == "interpolation"
        return
    allowed = re.compile("|".join([FILTER_BIAS, *UNREACHED.get(name, ())]))
    assert [n for n in unreached(name, network) if not allowed.fullmatch(n)] == []


def test_a_chosen_expert_learns_and_so_does_the_router():
    network = build_thin("seemore_b", 2)
    left = {n for n in unreached("seemore_b", network) if ".experts." in n}
    experts = {n for n, _ in network.named_parameters() if ".experts.experts." in n}
    for block in {n.partition(".experts.experts.")[0] for n in experts}:
        assert {n for n in experts if n.startswith(block)} - left
    assert not [n for n in left if ".router." in n]


def test_gradients_of_a_mixture_of_experts_are_exact_in_double_precision():
    torch.manual_seed(0)
    block = MoRE(8, (2, 4)).double()
    maps = [torch.rand(2, 8, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(block, maps)
