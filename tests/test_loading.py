"""Weight files into networks: every tensor of both sides, or an error that names them."""

import pytest
import torch
from safetensors.torch import save_file

from sr_zoo.errors import CheckpointError, WeightsNotFoundError
from sr_zoo.models.rlfn import RLFN
from sr_zoo.registry import spec_of
from sr_zoo.weights.cache import locate
from sr_zoo.weights.checkpoint import read_checkpoint
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.loading import load_entry_into, load_file_into
from sr_zoo.weights.manifest import load_manifest


def build(model="rlfn_ntire", scale=4, **arguments):
    spec = spec_of(model)
    return spec.network(**{**spec.variants[model].resolve(scale), **arguments})


@pytest.fixture
def small():
    torch.manual_seed(0)
    return build(channels=8, hidden=8, num_blocks=1, esa_channels=4)


@pytest.fixture
def target():
    return build(channels=8, hidden=8, num_blocks=1, esa_channels=4)


def assert_same(a, b):
    assert a.state_dict().keys() == b.state_dict().keys()
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name])


@pytest.mark.parametrize("entry", load_manifest().bundled(4), ids=lambda entry: entry.id)
def test_bundled_weights_load(entry):
    network = build(entry.model, entry.scale)
    load_entry_into(network, entry)
    shipped = read_checkpoint(locate(entry)).tensors
    assert all(torch.equal(t, shipped[n]) for n, t in network.state_dict().items())


@pytest.mark.parametrize("layout", ["ours", "official"])
@pytest.mark.parametrize(
    "container",
    [
        *("plain", "params_ema", "state_dict", "beside scores", "module"),
        *("lightning", "lightning in parallel", "lightning around a wrapper"),
        *("averaged", "averaged by timm", "averaged beside the model"),
        *("averaged in parallel", "averaged by ema_pytorch", "averaged in a shadow"),
        *("not averaged yet", "only how it is averaged", "averaged in Lightning"),
        *("DeepSpeed", "beside its settings", "netG", "state_dict_G"),
    ],
)
def test_either_layout_loads_from_any_container(small, target, tmp_path, layout, container):
    state = small.state_dict()
    if layout == "official":
        state = converter_of(RLFN).save(state)
    content = {
        "plain": state,
        "params_ema": {"params": {"x": torch.zeros(1)}, "params_ema": state},
        "state_dict": {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
        "beside scores": {"loss": torch.tensor(0.1), "model_state_dict": state, "epoch": 3},
        "module": {f"module.{name}": tensor for name, tensor in state.items()},
        "lightning": {
            "pytorch-lightning_version": "2.0",
            "state_dict": {
                **{f"model.{name}": tensor for name, tensor in state.items()},
                "loss.weight": torch.zeros(1),
            },
        },
        "lightning in parallel": {
            "state_dict": {
                **{f"model.module.{name}": tensor for name, tensor in state.items()},
                "loss.weight": torch.zeros(1),
            },
        },
        "lightning around a wrapper": {
            "state_dict": {f"model.net.{name}": tensor for name, tensor in state.items()},
        },
        "averaged": {
            "n_averaged": torch.tensor(7),
            **{f"module.{name}": tensor for name, tensor in state.items()},
        },
        "averaged by timm": {"state_dict": {"x": torch.zeros(1)}, "state_dict_ema": state},
        "averaged beside the model": {"model": {"x": torch.zeros(1)}, "model_ema": state},
        "averaged in parallel": {
            "module.n_averaged": torch.tensor(7),
            **{f"module.module.{name}": tensor for name, tensor in state.items()},
        },
        "averaged by ema_pytorch": {
            "ema": {
                "initted": torch.tensor(True),
                "step": torch.tensor(3),
                **{f"online_model.{name}": torch.zeros(1) for name in state},
                **{f"ema_model.{name}": tensor for name, tensor in state.items()},
            },
        },
        "averaged in a shadow": {
            "model": {"x": torch.zeros(1)},
            "ema": {"decay": 0.999, "shadow": state},
        },
        "not averaged yet": {"model": state, "ema": {}},
        "only how it is averaged": {"model": state, "ema": {"decay": torch.tensor(0.999)}},
        "averaged in Lightning": {
            "state_dict": {
                **{f"model.{name}": torch.zeros_like(tensor) for name, tensor in state.items()},
                **{f"ema_model.{name}": tensor for name, tensor in state.items()},
            },
        },
        "DeepSpeed": {"module": state, "optimizer": None, "global_steps": 3},
        "beside its settings": {"network": {"type": "RLFN", "scale": 4}, "weights": state},
        "netG": {"netG": state, "iter": 3},
        "state_dict_G": {"state_dict_G": state, "state_dict_D": {"x": torch.zeros(1)}},
    }[container]
    torch.save(content, tmp_path / "file.pth")
    load_file_into(target, tmp_path / "file.pth")
    assert_same(small, target)


def test_the_name_of_a_file_does_not_tell_its_kind(small, target, tmp_path):
    save_file(small.state_dict(), tmp_path / "file.pth")
    load_file_into(target, tmp_path / "file.pth")
    assert_same(small, target)


@pytest.mark.parametrize("layout", ["ours", "official"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, n: s.pop(n), "1 missing"),
        (lambda s, n: s.update({n: torch.zeros(1)}), "1 misshapen"),
        (lambda s, n: s.update({f"{n}_": torch.zeros(1)}), "1 unexpected"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(small, target, tmp_path, layout, change, words):
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    state = dict(small.state_dict())
    if layout == "official":
        state = converter_of(RLFN).save(state)
    change(state, "head.bias" if layout == "ours" else "conv_1.bias")
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError) as caught:
        load_file_into(target, tmp_path / "file.pth")
    assert words in str(caught.value)
    assert all(torch.equal(before[name], t) for name, t in target.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
@pytest.mark.parametrize("layout", ["ours", "official"])
def test_weights_that_are_no_floating_point_numbers_are_refused(
    small, target, tmp_path, dtype, layout
):
    state = {name: tensor.to(dtype) for name, tensor in small.state_dict().items()}
    if layout == "official":
        state = converter_of(RLFN).save(state)
    torch.save(state, tmp_path / "file.pth")
    said = rf"{len(state)} mistyped: head\.weight \({str(dtype).removeprefix('torch.')}\)"
    with pytest.raises(CheckpointError, match=said):
        load_file_into(target, tmp_path / "file.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_load(small, target, tmp_path, dtype):
    torch.save(small.to(dtype).state_dict(), tmp_path / "file.pth")
    load_file_into(target, tmp_path / "file.pth")
    assert_same(small.float(), target)


def test_a_file_without_a_network_says_what_it_holds(target, tmp_path):
    torch.save({"epoch": 3, "student": {"lr": 0.1}}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="holds no state dict; it holds epoch, student"):
        load_file_into(target, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="has no 'teacher'; it holds epoch, student"):
        load_file_into(target, tmp_path / "file.pth", key="teacher")
    torch.save([1, 2], tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="holds no state dict; it holds a list"):
        load_file_into(target, tmp_path / "file.pth")


def test_a_file_that_holds_itself_is_searched_to_an_end(target, tmp_path):
    content = {"epoch": 3}
    content["model"] = content["ema"] = content
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="holds no state dict; it holds epoch, model, ema"):
        load_file_into(target, tmp_path / "file.pth")


def test_a_missing_file_is_named(target, tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"nothing\.pth"):
        load_file_into(target, tmp_path / "nothing.pth")
