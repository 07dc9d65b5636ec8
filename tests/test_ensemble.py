import numpy as np
import torch
from torch import nn

from sr_zoo.inference.ensemble import self_ensemble
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.network import SRNetwork


class Slanted(SRNetwork):
    """Looks to its lower right only, so that a turned image gives another result."""

    def __init__(self):
        super().__init__(2)
        self.conv = nn.Conv2d(3, 12, 3)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x):
        return self.shuffle(self.conv(nn.functional.pad(x, (0, 2, 0, 2)))).sigmoid()


def rotations_and_mirrors(image):
    for mirrored in (False, True):
        for quarters in range(4):
            turned = image.flip(-1) if mirrored else image
            yield turned.rot90(quarters, (-2, -1)), mirrored, quarters


def test_result_is_the_mean_over_rotations_and_mirrors():
    torch.manual_seed(0)
    network = Slanted().eval()
    image = torch.rand(1, 3, 5, 8)
    out = torch.empty(1, 3, 10, 16)
    with torch.inference_mode():
        self_ensemble(lambda turned, result: result.copy_(network(turned)), image, out)
        results = []
        for turned, mirrored, quarters in rotations_and_mirrors(image):
            back = network(turned).rot90(-quarters, (-2, -1))
            results.append(back.flip(-1) if mirrored else back)
    assert not torch.allclose(results[0], results[1])
    torch.testing.assert_close(out, torch.stack(results).mean(0))


def test_upscaler_gives_turned_results_for_turned_images():
    torch.manual_seed(0)
    image = np.random.RandomState(0).random_sample((6, 9, 3)).astype(np.float32)
    plain = Upscaler(Slanted(), device="cpu", tile=None)
    better = Upscaler(Slanted(), device="cpu", tile=None, self_ensemble=True)
    turned = np.ascontiguousarray(np.rot90(image))
    assert not np.allclose(np.rot90(plain(image)), plain(turned), atol=1e-3)
    np.testing.assert_allclose(np.rot90(better(image)), better(turned), atol=1e-6)
