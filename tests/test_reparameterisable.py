"""Networks with a training form: they fuse, and they train."""

import re

import pytest
import torch
from golden import GOLDENS, Golden
from test_goldens import build
from thin import build_thin

import sr_zoo
from sr_zoo.blocks import ParallelConvs
from sr_zoo.inference.upscale import Upscaler
from sr_zoo.registry import MODELS, spec_of

WITH_GOLDEN = {golden.model for golden in GOLDENS}
NAMES = sorted(n for n in WITH_GOLDEN if "reparameterisable" in spec_of(n).tags)
TRAINED = [n for n in MODELS if "reparameterisable" in spec_of(n).tags]


def golden_of(name: str) -> Golden:
    return min((g for g in GOLDENS if g.model == name), key=lambda golden: golden.scale)


@pytest.mark.parametrize("name", NAMES)
def test_fused_network_computes_the_same_with_fewer_layers(name):
    network = build(golden_of(name))
    fused = sr_zoo.fuse(network)
    x = torch.rand(2, 3, 11, 14)
    with torch.inference_mode():
        assert torch.allclose(fused(x), network(x), atol=1e-5)
    assert len(list(fused.modules())) < len(list(network.modules()))


@pytest.mark.parametrize("name", [name for name in NAMES if f"{name}_plain" in MODELS])
def test_fused_weights_load_into_the_deployed_form(name):
    spec = spec_of(f"{name}_plain")
    golden = golden_of(name)
    plain = spec.network(**spec.variants[f"{name}_plain"].resolve(golden.scale)).eval()
    network = build(golden)
    plain.load_state_dict(sr_zoo.fuse(network).state_dict(), strict=True)
    x = torch.rand(1, 3, 9, 12)
    with torch.inference_mode():
        assert torch.allclose(plain(x), network(x), atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.usefixtures("leaky")
def test_a_step_lowers_the_loss_and_every_branch_gets_a_gradient(name):
    torch.manual_seed(0)
    scale = min(spec_of(name).variants[name].scales)
    network = build_thin(name, scale).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    target = torch.rand(2, 3, 12 * scale, 16 * scale)
    x = torch.nn.functional.avg_pool2d(target, scale)
    before = torch.nn.functional.mse_loss(network(x), target)
    before.backward()
    dead = re.compile(r".*(sobel_[xy]|laplacian)\.0\.bias")  # a constant has no edges
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.any() or dead.fullmatch(parameter_name), parameter_name
    optimiser.step()
    assert torch.nn.functional.mse_loss(network(x), target) < before


def test_etds_deployed_form_is_the_fused_one_clipped():
    """The authors' conversion: the last layers negate, so that two ReLUs clip from both sides."""
    network = build(golden_of("etds_m4c32"))
    convs = [layer for layer in sr_zoo.fuse(network).body if isinstance(layer, torch.nn.Conv2d)]
    spec = spec_of("etds_m4c32_deploy")
    deployed = spec.network(**spec.variants["etds_m4c32_deploy"].resolve(2)).eval()
    with torch.no_grad():
        for ours, conv in zip((deployed.head, *deployed.body), convs[:-1], strict=True):
            ours.load_state_dict(conv.state_dict())
        deployed.tail.weight.copy_(-convs[-1].weight)
        deployed.tail.bias.copy_(1 - convs[-1].bias)
        deployed.clip.weight.copy_(-torch.eye(12)[..., None, None])
        deployed.clip.bias.fill_(1)
    x = torch.rand(1, 3, 10, 13)
    with torch.inference_mode():
        assert torch.allclose(deployed(x), network(x).clamp(0, 1), atol=1e-5)


def test_create_model_fuses_when_asked_and_upscaler_does_by_itself(tmp_path):
    golden = golden_of("ecbsr_rgb_m4c16")
    masks = {name: torch.zeros(b["shape"]) for name, b in golden.facts["buffers"].items()}
    torch.save(golden.state_dict() | masks, tmp_path / "theirs.pth")
    arguments = {"pretrained": False, "checkpoint": tmp_path / "theirs.pth"}
    network = sr_zoo.create_model("ecbsr_rgb_m4c16", 2, **arguments)
    fused = sr_zoo.create_model("ecbsr_rgb_m4c16", 2, fuse=True, **arguments)
    assert fused.identity.fused
    assert not any(isinstance(module, ParallelConvs) for module in fused.modules())
    x = torch.rand(1, 3, 9, 12)
    upscaler = Upscaler(network, device="cpu", tile=8)
    assert not any(isinstance(module, ParallelConvs) for module in upscaler.network.modules())
    with torch.inference_mode():
        assert torch.allclose(fused(x), network(x), atol=1e-5)
        assert torch.allclose(upscaler(x), network(x).clamp(0, 1), atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_the_fused_form_knows_what_it_is_of(name, tmp_path):
    scale = min(spec_of(name).variants[name].scales)
    fused = sr_zoo.create_model(name, scale, pretrained=False, fuse=True)
    assert fused.identity.name == name
    fused.save_pretrained(tmp_path)
    x = torch.rand(1, 3, 9, 12)
    upscaled = Upscaler(tmp_path / "model.safetensors", device="cpu", tile=8).tensor(x)
    with torch.inference_mode():
        torch.testing.assert_close(upscaled, fused.eval()(x).clamp(0, 1), atol=1e-4, rtol=0)
