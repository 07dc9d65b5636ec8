"""What no block can be built with, or run on, is said in a sentence."""

import pytest
import torch

from sr_zoo.blocks import ESA, GMSA, OSA, CALayer, MoRE


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CALayer(16, 0), "reduced must be at least 1, got 0"),
        (lambda: ESA(16, 0), "reduced and num_convs must be at least 1, got 0 and 3"),
        (lambda: ESA(16, 4, num_convs=0), "at least 1, got 4 and 0"),
        (lambda: GMSA(48, (0, 8, 16)), r"window_sizes must be at least 1, got \(0, 8, 16\)"),
        (lambda: GMSA(48, ()), r"multiple of the number of groups \(0\)"),
        (lambda: OSA(64, 4, window=0), r"windows hold 1 to 4096 tokens, got \(0, 0\)"),
        (lambda: MoRE(48, (2, 0)), r"ranks must be one or more numbers of at least 1"),
    ],
)
def test_widths_and_windows_of_nothing_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_map_that_is_too_small_to_pool_is_refused():
    with pytest.raises(ValueError, match=r"got a map of \(14, 20\); .*pad_to_minimum\(x, 15\)"):
        ESA(16, 4)(torch.rand(1, 16, 14, 20))
    assert ESA(16, 4)(torch.rand(1, 16, 15, 20)).shape == (1, 16, 15, 20)
