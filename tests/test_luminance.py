"""Networks on luminance keep the RGB contract."""

import torch

from sr_zoo.blocks import YCbCr
from sr_zoo.evaluation.resize import imresize
from sr_zoo.registry import spec_of


def build():
    spec = spec_of("ecbsr_m4c16_plain")
    return spec.network(**spec.variants["ecbsr_m4c16_plain"].resolve(2)).eval()


@torch.inference_mode()
def test_luminance_comes_from_the_network_and_chroma_from_bicubic():
    network, colors = build(), YCbCr()
    x = torch.rand(2, 3, 7, 9)
    before, after = colors(x), colors(network(x))
    assert after.shape == (2, 3, 14, 18)
    assert torch.allclose(after[:, :1], network.enlarge(before[:, :1]), atol=1e-5)
    assert torch.allclose(after[:, 1:], imresize(before[:, 1:], 2), atol=1e-5)


@torch.inference_mode()
def test_luminance_alone_is_taken_too():
    network = build()
    y = torch.rand(1, 1, 6, 5)
    assert torch.equal(network(y), network.enlarge(y))


@torch.inference_mode()
def test_grey_stays_grey():
    grey = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    out = build()(grey)
    assert (out.amax(1) - out.amin(1)).max() < 1e-5
