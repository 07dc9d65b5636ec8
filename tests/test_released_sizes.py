"""Sizes whose weights the authors released, beside those that the goldens hold.

The authors' own code, built with the arguments of their releases, gave what is written here: the
number of learned parameters, and a digest of the names and shapes in its state dict.
"""

from hashlib import sha256

import pytest
import torch

from sr_zoo.registry import spec_of
from sr_zoo.weights.checkpoint import Checkpoint
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.detect import detect

RELEASED = {
    ("dat", 4): (14802051, "68d1386293d2a5b90b12591c003e1363d00f61473665e4301b5ff8ea08a720a2"),
    ("dat_2", 2): (11064419, "176422be662c1e6286386afd6010701c00f329661e6fcade19dda48e3109ca28"),
    ("span_ch48_train", 2): (
        1824900,
        "f50e038a2d9c5fc97ca7d06d647e23c21eab0bde55caa0b5a9e5a11a2a46560a",
    ),
    ("span_ch48_train", 4): (
        1840488,
        "b6e8754bd1692fb753118b863a44c4751185d4287a271afbafef61fcd7f92b89",
    ),
    ("srformer", 4): (10524495, "d06b30d87d1f793f32f589a96b9cee9d0bd280e8a420e2a71e4f3a95be4d8250"),
    ("swinir_real", 2): (
        11678631,
        "dfd00261d2fef467959674382c25efcded88f53029bc1c20db01c3070050b202",
    ),
    ("swinir_real", 4): (
        11715559,
        "64d6e6651924c57aa7270eddef6660cd964cc4fe62d70100861feca3d893b2e5",
    ),
    ("dat_2", 3): (11249059, "859b2d160888a92d042018c0acaca5352b6b30068d53be04c5ac45045358835a"),
    ("dat_2", 4): (11212131, "0fff1b4f0713a42a61375978398d7ac7a89a8d55a52c3d7b8e66fc371954cb4a"),
    ("swinir_real_large", 4): (
        28013059,
        "9e06b00e5703decac21eb2a2eade96cfadd128e06203e3d1c47e57cff4fcbf98",
    ),
}


@pytest.mark.parametrize(("name", "scale"), RELEASED)
def test_a_released_size_has_the_authors_tensors_and_is_recognised(name, scale):
    spec = spec_of(name)
    with torch.device("meta"):
        network = spec.network(**spec.variants[name].resolve(scale))
    theirs = converter_of(spec.network).save(network.state_dict())
    listing = "".join(f"{key} {tuple(theirs[key].shape)}\n" for key in sorted(theirs))
    num_params = sum(parameter.numel() for parameter in network.parameters())
    assert (num_params, sha256(listing.encode()).hexdigest()) == RELEASED[name, scale]
    detection = detect(Checkpoint(theirs))
    assert (detection.model, detection.arguments["scale"]) == (name, scale)
