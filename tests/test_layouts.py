"""Layouts that others gave the weights of a network, beside its authors'."""

import re

import pytest
import torch
from safetensors.torch import save_file

import sr_zoo
from sr_zoo.errors import CheckpointError
from sr_zoo.models.craft import CRAFT
from sr_zoo.models.dat import DATLight
from sr_zoo.models.rdan import RDAN
from sr_zoo.models.rrdbnet import RRDBNet
from sr_zoo.models.swin2sr import Swin2SR
from sr_zoo.weights.convert import Converter, converter_of, layouts_of
from sr_zoo.weights.convert.swin2sr import TRANSFORMERS
from sr_zoo.weights.loading import load_file_into


def small(seed):
    torch.manual_seed(seed)
    return Swin2SR(scale=2, channels=12, depths=(2, 1), num_heads=3)


def test_the_authors_layout_comes_first():
    assert layouts_of(Swin2SR) == (converter_of(Swin2SR), TRANSFORMERS)
    assert layouts_of(RDAN) == ()


def test_swin2sr_loads_from_the_layout_of_transformers(tmp_path):
    source, target = small(0), small(1)
    state = TRANSFORMERS.save(source.state_dict())
    query = "swin2sr.encoder.stages.1.layers.0.attention.self.query.weight"
    assert torch.equal(
        state[query], source.state_dict()["body.1.blocks.0.attention.qkv.weight"][:12]
    )
    save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "model.safetensors")
    load_file_into(target, tmp_path / "model.safetensors")
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor)


def test_a_repository_of_transformers_is_recognised(tmp_path):
    source = small(0)
    torch.save(TRANSFORMERS.save(source.state_dict()), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text('{"model_type": "swin2sr", "upscale": 2}')
    loaded = sr_zoo.load_model(tmp_path)
    assert loaded.identity.name == "swin2sr_light"
    for name, tensor in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


ESRGAN_NAMES = {
    "conv_first": ("conv_first", "model.0"),
    "body.0.rdb1.conv1": ("RRDB_trunk.0.RDB1.conv1", "model.1.sub.0.RDB1.conv1.0"),
    "body.1.rdb3.conv5": ("RRDB_trunk.1.RDB3.conv5", "model.1.sub.1.RDB3.conv5.0"),
    "conv_body": ("trunk_conv", "model.1.sub.2"),
    "conv_up1": ("upconv1", "model.3"),
    "conv_up2": ("upconv2", "model.6"),
    "conv_hr": ("HRconv", "model.8"),
    "conv_last": ("conv_last", "model.10"),
}


@pytest.mark.parametrize("generation", [1, 0], ids=["model.N", "RRDB_trunk"])
def test_esrgan_loads_in_the_names_that_it_had_before(tmp_path, generation):
    torch.manual_seed(0)
    source = RRDBNet(scale=4, channels=8, num_blocks=2, growth=4)
    dense = re.compile(r"body\.(\d+)\.rdb(\d)\.conv(\d)")
    older = (r"RRDB_trunk.\1.RDB\2.conv\3", r"model.1.sub.\1.RDB\2.conv\3.0")[generation]
    state = {}
    for name, tensor in converter_of(RRDBNet).save(source.state_dict()).items():
        module, _, kind = name.rpartition(".")
        names = ESRGAN_NAMES.get(module)
        renamed = dense.sub(older, module) if names is None else names[generation]
        state[f"{renamed}.{kind}"] = tensor
    torch.save(state, tmp_path / "esrgan.pth")
    loaded = sr_zoo.load_model(tmp_path / "esrgan.pth")
    assert loaded.identity.arguments["num_blocks"] == 2
    for name, tensor in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_missing_piece_is_named():
    state = TRANSFORMERS.save(small(0).state_dict())
    del state["swin2sr.encoder.stages.0.layers.1.attention.self.key.weight"]
    with pytest.raises(CheckpointError, match=r"body.0.blocks.1.attention.qkv.weight' needs 3"):
        TRANSFORMERS.load(state)


@pytest.mark.parametrize(
    ("network", "bias"),
    [
        (
            DATLight(scale=2, channels=16, depths=(1,), num_heads=2),
            "layers.0.blocks.0.attn.attns.1.pos.pos_proj",
        ),
        (
            CRAFT(scale=2, channels=12, depths=(1,)),
            "layers.0.residual_group.srwa_blocks.0.attns.1.pos.pos_proj",
        ),
    ],
    ids=["DAT-light", "CRAFT"],
)
def test_a_position_bias_is_left_out_only_where_it_changes_nothing(network, bias):
    converter = converter_of(type(network))
    state = converter.save(network.state_dict())
    converter.load({**state, f"{bias}.weight": torch.ones(1, 2)})
    with pytest.raises(CheckpointError, match=rf"'{bias}.weight' is of a position bias"):
        converter.load({**state, f"{bias}.weight": torch.ones(2, 2)})


def test_files_need_not_say_how_many_batches_a_normalisation_saw(tmp_path):
    torch.manual_seed(0)
    source = DATLight(scale=2, channels=16, depths=(2,), num_heads=2)
    state = {n: t for n, t in source.state_dict().items() if "num_batches_tracked" not in n}
    torch.save(state, tmp_path / "dat.pth")
    load_file_into(DATLight(scale=2, channels=16, depths=(2,), num_heads=2), tmp_path / "dat.pth")


def test_two_tensors_are_not_saved_under_one_name():
    converter = Converter(rules=(("last", "tail"), ("last", "body")))
    with pytest.raises(CheckpointError, match=r"two tensors would both be 'last\.weight'"):
        converter.save({"tail.weight": torch.zeros(1), "body.weight": torch.ones(1)})
