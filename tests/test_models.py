"""What every network of the library promises, whatever is inside."""

import pytest
import torch
from thin import build_thin
from torch import nn
from torch.nn.utils import prune

import sr_zoo
from sr_zoo.errors import ImageFormatError
from sr_zoo.registry import MODELS, spec_of

ALL = [(name, scale) for name in MODELS for scale in spec_of(name).variants[name].scales]
FIRST_OF_FORM = sorted(
    {spec_of(name).network: name for name in sorted(MODELS, reverse=True)}.values()
)


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "scale"), ALL)
@torch.inference_mode()
def test_any_size_comes_out_scale_times_larger(name, scale):
    network = build_thin(name, scale).eval()
    for height, width in ((1, 1), (19, 7)):
        output = network(image(1, 3, height, width))
        assert output.shape == (1, 3, scale * height, scale * width)
        assert output.isfinite().all()


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_images_of_a_batch_do_not_influence_each_other(name):
    # in double precision, since random weights make some networks amplify rounding
    network = build_thin(name, max(spec_of(name).variants[name].scales)).eval().double()
    batch = image(2, 3, 17, 18).double() * torch.tensor([0.3, 1.0]).view(2, 1, 1, 1)
    together = network(batch)
    alone = torch.cat([network(one) for one in batch.split(1)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", FIRST_OF_FORM)
def test_state_dict_round_trip_gives_the_same_network(name):
    scale = max(spec_of(name).variants[name].scales)
    network, twin = build_thin(name, scale).eval(), build_thin(name, scale).eval()
    twin.load_state_dict(network.state_dict())
    x = image(1, 3, 16, 20)
    with torch.inference_mode():
        assert torch.equal(network(x), twin(x))


def replica(network):
    """Return what `torch.nn.DataParallel` runs on a further device: tensors no module registers."""
    copies = {module: module._replicate_for_data_parallel() for module in network.modules()}
    for module, copy in copies.items():
        for name, child in module.named_children():
            copy._modules[name] = copies[child]
        for name, parameter in module._parameters.items():
            setattr(copy, name, None if parameter is None else parameter.detach())
        copy._buffers = module._buffers
    return copies[network]


@pytest.mark.parametrize("name", FIRST_OF_FORM)
@torch.inference_mode()
def test_networks_run_on_several_devices_by_data_parallel(name):
    network = build_thin(name, max(spec_of(name).variants[name].scales)).eval()
    x = image(1, 3, 16, 20)
    assert torch.equal(replica(network)(x), network(x))


@pytest.mark.parametrize("name", ["dlgsanet_light", "ramit_slim", "seemore_t", "swinir_light"])
@pytest.mark.filterwarnings("ignore")  # a trace warns of every size that a network looks at
@torch.inference_mode()
def test_a_trace_takes_images_of_other_sizes(name):
    network = build_thin(name, 4).eval()
    traced = torch.jit.trace(network, image(1, 3, 24, 24), check_trace=False)
    x = image(1, 3, 52, 70)
    torch.testing.assert_close(traced(x), network(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["bicubic", "ecbsr_m4c16", "rlfn_s", "vdsr"])
def test_networks_built_in_double_precision_run_in_it(name):
    torch.set_default_dtype(torch.float64)
    try:
        assert build_thin(name, 2).eval()(torch.rand(1, 3, 8, 9)).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", ["ditn_real", "ramit_slim", "rlfn_s", "swinir_light"])
def test_gradients_of_each_image_can_be_had(name):
    network = build_thin(name, 4).eval()
    weights = {key: value.detach() for key, value in network.named_parameters()}

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(network, weights, x[None]).square().mean()

    x = image(2, 3, 24, 24)
    gradients = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    first = torch.func.grad(loss)(weights, x[0])
    for key, value in first.items():
        torch.testing.assert_close(gradients[key][0], value, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", FIRST_OF_FORM)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (torch.zeros(1, 3, 24, 24, dtype=torch.uint8), r"got uint8 of shape \(1, 3, 24, 24\)"),
        (torch.zeros(3, 24, 24), r"got float32 of shape \(3, 24, 24\); x\[None\] makes"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(name, wrong, told):
    network = build_thin(name, max(spec_of(name).variants[name].scales)).eval()
    with pytest.raises(ImageFormatError, match=told):
        network(wrong)


def test_compilers_find_nothing_but_layers_in_a_call():
    network = build_thin("rlfn", 2).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=True)
    with torch.inference_mode():
        for size in ((24, 32), (30, 18)):
            x = image(1, 3, *size)
            torch.testing.assert_close(compiled(x), network(x))


@pytest.mark.usefixtures("leaky")
@pytest.mark.parametrize("name", FIRST_OF_FORM)
def test_pruned_networks_train(name):
    network = build_thin(name, max(spec_of(name).variants[name].scales)).train()
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [each for each in network.modules() if isinstance(each, kinds)]
    if not layers:
        pytest.skip("nothing is learned")
    for layer in layers:
        prune.l1_unstructured(layer, "weight", 0.3)
    for _ in range(2):  # the second step needs weights of its own
        network(image(2, 3, 16, 24)).sum().backward()
    assert any(layer.weight_orig.grad.any() for layer in layers if layer.weight_orig.requires_grad)


@pytest.mark.parametrize("name", FIRST_OF_FORM)
@torch.inference_mode()
def test_networks_can_be_laid_out_channels_last(name):
    network = build_thin(name, max(spec_of(name).variants[name].scales)).eval().double()
    x = image(2, 3, 16, 20).double()
    expected = network(x)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(x), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", FIRST_OF_FORM)
@torch.inference_mode()
def test_half_precision_runs_and_stays_close(name):
    network = build_thin(name, max(spec_of(name).variants[name].scales)).eval()
    x = image(1, 3, 16, 24)
    half = network.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert half.isfinite().all()


def test_create_model_remembers_how_a_network_was_built():
    network = sr_zoo.create_model("rlfn_s", 2, pretrained=False, num_blocks=2)
    identity = network.identity
    assert identity.name == "rlfn_s"
    assert identity.arguments == {
        "scale": 2,
        "channels": 48,
        "hidden": 48,
        "num_blocks": 2,
        "esa_channels": 16,
    }
    twin = type(network)(**identity.arguments)
    assert twin.state_dict().keys() == network.state_dict().keys()
