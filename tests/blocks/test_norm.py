import pytest
import torch

from sr_zoo.blocks import LayerNorm2d


@pytest.fixture(autouse=True, scope="module")
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def norm():
    norm = LayerNorm2d(12, 1e-6).requires_grad_(False)
    norm.weight.uniform_(0.5, 1.5)
    norm.bias.uniform_(-1, 1)
    return norm


@pytest.fixture(scope="module")
def exported(norm):
    """The form that exports and compilers get."""
    sides = dict.fromkeys((2, 3), torch.export.Dim.DYNAMIC)
    example = torch.rand(1, 12, 6, 8)
    return torch.export.export(norm, (example,), dynamic_shapes=(sides,)).module()


@pytest.mark.parametrize("mean", [0.0, 1.0, -10.0])
def test_exports_normalise_as_the_network_does(norm, exported, mean):
    # its own generator: the digits that a mean far from zero costs depend on the values
    features = mean + torch.randn(1, 12, 7, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(exported(features), norm(features), atol=1e-4, rtol=0)


def test_compilers_normalise_features_far_from_zero_as_the_network_does(norm):
    features = 100 + torch.randn(1, 12, 7, 5)
    compiled = torch.compile(norm, backend="aot_eager")
    torch.testing.assert_close(compiled(features), norm(features), atol=1e-4, rtol=0)


def test_exports_normalise_features_that_do_not_vary(norm, exported):
    # the mean of the squares less the square of the mean may come out below zero
    features = torch.linspace(-3, 3, 96).reshape(1, 1, 8, 12).repeat(1, 12, 1, 1)
    torch.testing.assert_close(exported(features), norm(features), atol=1e-2, rtol=0)
