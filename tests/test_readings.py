"""Networks known by a description alone: their sizes, and what the description says they do."""

import pytest
import torch
from thin import build_thin
from torch.nn import functional as F

from sr_zoo import create_model
from sr_zoo.blocks import low_frequencies
from sr_zoo.models.dgsr import MessagePassing
from sr_zoo.models.lden import HighPassStrips
from sr_zoo.models.tcsr import NeighbourhoodAttention
from sr_zoo.registry import MODELS, spec_of

READINGS = [name for name in MODELS if "reading" in spec_of(name).tags]


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "thousands"), [("tcsr_b", 682), ("tcsr_l", 1030), ("dgsr", 400), ("lden", 300)]
)
def test_sizes_are_those_of_the_description(name, thousands):
    spec = spec_of(name)
    with torch.device("meta"):
        network = spec.network(**spec.variants[name].resolve(4))
    assert sum(p.numel() for p in network.parameters()) / 1e3 == pytest.approx(thousands, rel=0.02)


@pytest.mark.parametrize("name", [*READINGS, "adsrnet"])
def test_a_few_training_steps_lower_the_loss(name):
    torch.manual_seed(0)
    network = build_thin(name, 2).train()
    hr = F.interpolate(random(1, 3, 6, 6), size=(36, 36), mode="bicubic")
    lr = F.avg_pool2d(hr, 2)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(8):
        loss = (network(lr) - hr).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", READINGS)
@torch.inference_mode()
def test_an_untrained_network_gives_values_like_its_inputs(name):
    torch.manual_seed(0)
    network = create_model(name, 2, pretrained=False)
    assert network(random(1, 3, 16, 20)).abs().max() < 10


@pytest.mark.parametrize("size", [(16, 20), (9, 17), (1, 1)])
@torch.inference_mode()
def test_each_pixel_attends_to_its_neighbourhood_whatever_the_squares(size):
    torch.manual_seed(0)
    attention = NeighbourhoodAttention(8, 2, 5, square=4)
    torch.nn.init.normal_(attention.bias)
    x = random(2, 8, *size)
    query, key, value = attention.qkv(x).chunk(3, dim=1)
    key, value = (F.pad(part, (2, 2, 2, 2), mode="replicate") for part in (key, value))
    expected = torch.empty_like(x)
    for row in range(size[0]):
        for column in range(size[1]):
            around = (..., slice(row, row + 5), slice(column, column + 5))
            for head in range(2):
                part = slice(4 * head, 4 * head + 4)
                pixel = query[:, part, row, column, None]
                logits = (pixel * key[around][:, part].flatten(2)).sum(1) / 2
                share = (logits + attention.bias[head]).softmax(-1)
                seen = value[around][:, part].flatten(2)
                expected[:, part, row, column] = (share[:, None] * seen).sum(-1)
    torch.testing.assert_close(attention(x), attention.project(expected), atol=1e-6, rtol=1e-5)


@torch.inference_mode()
def test_messages_come_from_the_most_similar_pixels():
    torch.manual_seed(0)
    passing = MessagePassing(4, 1, num_neighbours=32)
    x = random(1, 4, 16, 16)
    embedded = passing.embed(x.flatten(2).mT[0])
    receiver, sender = (F.normalize(part, dim=-1) for part in embedded.chunk(2, dim=-1))
    chosen = (receiver @ sender.T)[0].topk(32).indices
    before = passing(x)[0, :, 0, 0]
    passing.message.register_forward_hook(
        lambda _module, _args, out: out.index_fill(2, chosen, 0.0)
    )
    nothing = passing.update(torch.cat([x[0, :, 0, 0], torch.zeros(4)]))
    torch.testing.assert_close(passing(x)[0, :, 0, 0], nothing)
    assert not torch.allclose(before, nothing)


@torch.inference_mode()
def test_learned_high_pass_filters_ignore_what_is_flat():
    strips = HighPassStrips(3, 7)
    flat = strips(torch.full((1, 3, 16, 16), 0.7))
    torch.testing.assert_close(flat[..., 3:-3, 3:-3], torch.zeros(1, 3, 10, 10), atol=1e-6, rtol=0)
    edge = torch.zeros(1, 3, 16, 16)
    edge[..., 8:] = 1
    assert (strips(edge)[..., 5:11, 6:10].abs() > 1e-3).any()


def test_low_frequencies_are_averages_of_squares():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    torch.testing.assert_close(low_frequencies(ramp)[..., 1:-1], ramp[..., 1:-1])
    checks = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float()[None, None]
    torch.testing.assert_close(low_frequencies(checks), torch.full_like(checks, 0.5))
