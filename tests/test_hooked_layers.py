"""Layers that users wrap or watch are called, also those whose weights are read otherwise."""

import pytest
import torch
from test_models import FIRST_OF_FORM, image
from thin import build_thin
from torch import Tensor, nn

from sr_zoo.registry import spec_of

# layers that are never called: a part of their weights is all that an image takes
CUT = {"pcsr_carn": "head", "pcsr_fsrcnn": "head"}
# of upsamplers for other scales
OF_OTHERS = {"carn": ("upsampler.x2", "upsampler.x3")}


class Adapted(nn.Module):
    """A layer and a low-rank change of it, as LoRA makes them; it shows the layer's own weights."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.change = nn.Parameter(0.1 * torch.randn_like(layer.weight))

    @property
    def weight(self) -> Tensor:
        return self.layer.weight

    @property
    def bias(self) -> Tensor | None:
        return self.layer.bias

    def forward(self, x: Tensor) -> Tensor:
        weights = {"weight": self.layer.weight + self.change}
        return torch.func.functional_call(self.layer, weights, x)


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    }


@pytest.mark.parametrize("name", ["rlfn_s", "seemore_t", "swinir_light"])
def test_hooks_see_whole_maps(name):
    network = build_thin(name, 2)
    x = torch.rand(1, 3, 130, 260)  # of more than one strip

    def outputs():
        seen = {}
        handles = [
            layer.register_forward_hook(
                lambda _layer, _given, output, path=path: seen.setdefault(path, []).append(output)
            )
            for path, layer in layers_of(network).items()
        ]
        network(x)
        for handle in handles:
            handle.remove()
        return seen

    with torch.no_grad():
        without_gradients = outputs()
    torch.testing.assert_close(without_gradients, outputs(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", FIRST_OF_FORM)
def test_hooks_see_every_layer(name):
    network = build_thin(name, max(spec_of(name).variants[name].scales)).eval()
    x = image(1, 3, 24, 24)
    seen = set()
    with torch.inference_mode():
        expected = network(x)
        for path, layer in layers_of(network).items():
            layer.register_forward_hook(lambda *_, path=path: seen.add(path))
        torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-5)
    unseen = layers_of(network).keys() - seen
    others = {path for path in unseen if path.startswith(OF_OTHERS.get(name, ()))}
    assert {path.split(".")[-1] for path in unseen - others} == {*CUT.get(name, "").split()}


@pytest.mark.parametrize(
    "name",
    ["craft", "ditn", "dlgsanet_light", "ipt_small", "omnisr", "seemore_t", "swin2sr_light"],
)
def test_an_adapter_changes_what_it_is_put_around(name):
    torch.manual_seed(0)
    scale = max(spec_of(name).variants[name].scales)
    adapted, merged = (build_thin(name, scale).eval() for _ in range(2))
    adapted.load_state_dict(merged.state_dict())
    others = layers_of(merged)
    for path, layer in layers_of(adapted).items():
        adapter = Adapted(layer)
        parent, _, child = path.rpartition(".")
        setattr(adapted.get_submodule(parent), child, adapter)
        with torch.no_grad():
            others[path].weight += adapter.change
    x = image(1, 3, 24, 24)
    torch.testing.assert_close(adapted(x), merged(x), atol=1e-4, rtol=1e-4)
