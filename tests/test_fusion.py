"""`sr_zoo.fuse` gives the plain network that computes the same."""

import pytest
import torch
from thin import build_thin
from torch import Tensor, nn
from torch.nn.utils import prune

import sr_zoo
from sr_zoo.blocks import EdgeOrientedConv, ParallelConvs
from sr_zoo.models.rlfn import RLFN
from sr_zoo.network import Identity, SRNetwork


class Branched(SRNetwork):
    """Two levels of nesting, a shared block, and a layer that is called like the method."""

    def __init__(self, *, scale: int = 2) -> None:
        super().__init__(scale)
        block = ParallelConvs(3, {"conv": nn.Conv2d(3, 3, 3, padding=1), "skip": nn.Identity()})
        self.body = nn.ModuleList([nn.Sequential(block, nn.ReLU()), block])
        self.fuse = nn.Conv2d(3, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.body:
            x = layer(x)
        return nn.functional.pixel_shuffle(self.fuse(x), 2)


def test_every_block_is_replaced_and_the_network_itself_stays():
    network = Branched().train()
    network.identity = Identity("branched", {"scale": 2})
    fused = sr_zoo.fuse(network)
    x = torch.rand(1, 3, 9, 8)
    with torch.inference_mode():
        assert torch.allclose(fused(x), network(x), atol=1e-5)
    assert not any(isinstance(module, ParallelConvs) for module in fused.modules())
    assert any(isinstance(module, ParallelConvs) for module in network.modules())
    assert network.training
    assert not fused.training
    assert fused.identity == Identity("branched", {"scale": 2}, fused=True)
    assert not network.identity.fused


def test_a_network_without_branches_comes_back_as_a_copy():
    network = RLFN(scale=2, channels=8, hidden=8, num_blocks=1).eval()
    fused = sr_zoo.fuse(network)
    assert fused is not network
    ours, theirs = fused.state_dict(), network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_networks_of_ones_own_are_fused_too():
    network = nn.Sequential(EdgeOrientedConv(4, 4), nn.ReLU()).eval()
    fused = sr_zoo.fuse(network)
    assert type(fused[0]) is nn.Conv2d
    x = torch.rand(1, 4, 6, 7)
    torch.testing.assert_close(fused(x), network(x), atol=1e-5, rtol=0)


class JoinedFeatures(nn.Module):
    """Calls so what joins features, as many networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = EdgeOrientedConv(4, 4)
        self.join = nn.Conv2d(8, 4, 1)

    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        return self.join(torch.cat([a, b], dim=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(x, self.edges(x))


def test_a_method_of_the_same_name_is_no_matter():
    network = JoinedFeatures().eval()
    fused = sr_zoo.fuse(network)
    assert type(fused.edges) is nn.Conv2d
    x = torch.rand(1, 4, 6, 7)
    torch.testing.assert_close(fused(x), network(x), atol=1e-5, rtol=0)


def test_a_block_that_is_used_twice_is_fused_at_both_places():
    block = EdgeOrientedConv(4, 4)
    fused = sr_zoo.fuse(nn.Sequential(block, nn.ReLU(), block, nn.Sequential(block)))
    assert type(fused[0]) is nn.Conv2d
    assert fused[0] is fused[2] is fused[3][0]


# every kind of block that has a method `fuse`
BLOCKS = (
    "awsrn",
    "ddistill_sr_train",
    "ecbsr_m4c16",
    "elan_light",
    "etds_m4c32",
    "fsrcnn",
    "carn_m",
)


@pytest.mark.parametrize("name", sorted({*BLOCKS} - {"elan_light"}))  # amplifies any rounding
def test_in_double_precision_nothing_is_rounded_to_single(name):
    network = build_thin(name, 2).double().eval()
    fused = sr_zoo.fuse(network)
    assert {tensor.dtype for tensor in fused.parameters()} == {torch.float64}
    x = torch.rand(1, 3, 16, 18).double()
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), network(x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_default_device_is_of_no_account(name):
    network = build_thin(name, 2).eval()
    with torch.device("meta"):
        fused = sr_zoo.fuse(network)
    assert {tensor.device.type for tensor in fused.state_dict().values()} == {"cpu"}


@pytest.mark.parametrize("name", ["ecbsr_m4c16", "elan_light", "etds_m4c32", "fsrcnn"])
def test_pruned_networks_are_fused_as_they_run(name):
    network = build_thin(name, 2).eval()
    layers = [
        layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    for layer in layers:
        prune.l1_unstructured(layer, "weight", 0.3)
    sr_zoo.fuse(network)
    x = torch.rand(1, 3, 16, 18)
    network(x).sum().backward()
    for layer in layers:  # as a checkpoint does; the next call makes the weights of these
        nn.init.normal_(layer.weight_orig, std=0.05)
    fused = sr_zoo.fuse(network)
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), network(x), atol=1e-5, rtol=1e-5)
