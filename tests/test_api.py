"""Models by name: what is found, what is built, and what is said when it cannot be."""

from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import sr_zoo
from sr_zoo import errors
from sr_zoo.building import _check_types, _in_words, _plain, variant_arguments
from sr_zoo.registry import MODELS, spec_of
from sr_zoo.weights.cache import sha256_of
from sr_zoo.weights.manifest import Manifest, load_manifest


def test_list_models_by_pattern_scale_tag_and_weights():
    assert sr_zoo.list_models("rlfn*") == ["rlfn", "rlfn_ntire", "rlfn_s"]
    assert "rlfn" not in sr_zoo.list_models("rlfn*", scale=3)
    assert {"seemore_t", "seemore_b", "seemore_l"} == set(sr_zoo.list_models(tags="moe"))
    assert "seemore_t" in sr_zoo.list_models(pretrained="sr_zoo")
    assert "seemore_b" not in sr_zoo.list_models(pretrained=True)
    assert "seemore_t" not in sr_zoo.list_models(pretrained=True, scale=7)


def test_list_models_refuses_unknown_tags():
    with pytest.raises(errors.OptionError, match="Unknown tag 'cnns'; known are cnn, transformer"):
        sr_zoo.list_models(tags="cnns")


def test_model_info():
    info = sr_zoo.model_info("seemore_t")
    assert info.scales == (2, 3, 4)
    assert info.paper.arxiv == "2402.03412"
    assert not info.tile_exact
    assert sr_zoo.model_info("rlfn").tile_exact
    assert not sr_zoo.model_info("srformer").tile_exact  # its windows mix opposite borders
    assert sr_zoo.model_info("srformer_light").tile_exact
    assert [w.scale for w in sr_zoo.model_info("rlfn").weights] == [2, 4]


def test_unknown_name_suggests():
    with pytest.raises(
        errors.UnknownModelError, match=r"Unknown model 'seemoe_t'.*'seemore_t'.*`sr-zoo list` or"
    ):
        sr_zoo.create_model("seemoe_t")


def test_scale_that_a_model_does_not_have():
    with pytest.raises(
        errors.ScaleNotAvailableError,
        match=r"rlfn is not defined at scale 3; .*2, 4\. `sr-zoo list --scale 3` or sr_zoo",
    ):
        sr_zoo.create_model("rlfn", 3)


@pytest.mark.parametrize("scale", [4.0, "4"])
def test_scale_that_is_no_whole_number(scale):
    with pytest.raises(errors.ScaleNotAvailableError, match=r"is no whole number; .* 2, 3, 4"):
        sr_zoo.create_model("rlfn_s", scale, pretrained=False)


def test_scale_of_numpy_is_saved_as_any_other(tmp_path):
    network = sr_zoo.create_model("rdan_s", np.int64(2), pretrained=False)
    network.save_pretrained(tmp_path)
    assert sr_zoo.load_model(tmp_path).scale == 2


@pytest.mark.parametrize("name", ["nofile.pth", Path("nofile.pth"), Path("no", "folder")])
def test_name_of_a_file_that_does_not_exist(name):
    with pytest.raises(errors.WeightsNotFoundError, match="there is no such file or folder"):
        sr_zoo.create_model(name)


def test_name_that_the_system_cannot_look_up(tmp_path):
    name, said = "a" * 300, "a{300} cannot be read: File name too"
    with pytest.raises(errors.UnknownModelError, match=name):
        sr_zoo.create_model(name)
    with pytest.raises(errors.CheckpointError, match=said):
        sr_zoo.create_model(tmp_path / name)
    with pytest.raises(errors.CheckpointError, match=said):
        sr_zoo.create_model("rlfn_s", checkpoint=name)
    with pytest.raises(errors.CheckpointError, match=said):
        sr_zoo.load_model(name)


def test_cache_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / ("a" * 300)))
    with pytest.raises(
        errors.CheckpointError, match=r"RFDN_AIM\.pth cannot be read: File name too"
    ):
        sr_zoo.create_model("rfdn", 4)
    with pytest.raises(
        errors.CheckpointError, match=r"RFDN_AIM\.pth cannot be read: File name too"
    ):
        sr_zoo.create_model("rfdn", 4, num_blocks=4)


@pytest.mark.parametrize("build", [sr_zoo.load_model, sr_zoo.create_model, sr_zoo.Upscaler])
def test_name_without_a_letter(build):
    with pytest.raises(errors.WeightsNotFoundError, match=r"'' names nothing; `sr-zoo list`"):
        build("")


def test_id_where_a_model_is_named():
    said = r"'rlfn_s_x4\.sr_zoo' is the id .*; sr_zoo\.load_model\('rlfn_s_x4\.sr_zoo'\) loads them"
    with pytest.raises(errors.WeightsNotFoundError, match=said):
        sr_zoo.create_model("rlfn_s_x4.sr_zoo")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rlfn_s", r"rlfn_s_x4\.sr_zoo.*create_model\('rlfn_s', SCALE, pretrained=True\)"),
        ("rlfn_s.sr_zoo", r"rlfn_s_x4\.sr_zoo.*\('rlfn_s', SCALE, pretrained='sr_zoo'\)"),
        ("bicubic", r"Ids of bicubic: none\. .*create_model\('bicubic', SCALE"),
    ],
)
def test_model_where_an_id_is_named(name, said):
    with pytest.raises(errors.WeightsNotFoundError, match=rf"'{name}' is neither .*{said}"):
        sr_zoo.load_model(name)


def test_unknown_argument_suggests_and_names_what_exists():
    with pytest.raises(errors.ModelArgumentError, match=r"no argument 'num_block'.*'num_blocks'"):
        sr_zoo.create_model("rlfn", 4, pretrained=False, num_block=3)


def test_argument_that_a_network_cannot_use():
    with pytest.raises(errors.ModelArgumentError, match="cannot be built with reduction=99"):
        sr_zoo.create_model("rdan", 4, pretrained=False, reduction=99)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("rlfn_s", {"channels": "a"}, "channels must be a whole number, got 'a'"),
        ("rlfn_s", {"channels": 48.0}, "channels must be a whole number, got 48.0"),
        ("rlfn_s", {"channels": True}, "channels must be a whole number, got True"),
        ("rlfn_s", {"channels": None}, "channels must be a whole number, got None"),
        ("swinir_light", {"depths": 6}, "depths must be a list, each item a whole number, got 6"),
        (
            "swinir_light",
            {"depths": (6, "6")},
            r"depths must be a list, each item .*, got \(6, '6'\)",
        ),
    ],
)
def test_arguments_of_another_type_are_refused_in_a_sentence(name, arguments, said):
    with pytest.raises(errors.ModelArgumentError, match=f"{name} cannot be built with .*: {said}"):
        sr_zoo.create_model(name, 4, pretrained=False, **arguments)


@pytest.mark.parametrize("name", MODELS)
def test_a_models_own_arguments_are_of_the_types_that_may_be_given(name):
    network_class = spec_of(name).network
    for scale in spec_of(name).variants[name].scales:
        arguments = variant_arguments(name, scale)
        _check_types(network_class, {key: _plain(value) for key, value in arguments.items()})
        for hint in get_type_hints(network_class.__init__).values():
            assert _in_words(hint)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("dgsr", {"num_heads": 5}),
        ("fiwhn", {"channels": 20}),
        ("imdn", {"channels": 66}),
        ("dlgsanet_tiny", {"window_size": 0}),
        ("dlgsanet_tiny", {"window_size": "8"}),
        ("seemore_t", {"context_depth": 0}),
        ("ramit", {"num_heads": (1,)}),
        ("abpn_m4c28", {"num_blocks": -1}),
        ("swinir_light", {"depths": (6, -1)}),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused_before_the_network_runs(name, arguments):
    with pytest.raises(
        errors.ModelArgumentError, match=f"{name} cannot be built with .*: "
    ) as info:
        sr_zoo.create_model(name, 4, pretrained=False, **arguments)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("name", "arguments", "rule"),
    [
        ("craft", {"num_heads": 3}, "num_heads must be even, .*; got 3"),
        ("dat_light", {"num_heads": 5}, "num_heads must be even, .*; got 5"),
        ("dat_light", {"channels": 96}, "channels must be less than 64, .*; got 96"),
        ("carn", {"residual_blocks": 4}, "a cascade takes 1 to 3 steps, got 4"),
        ("ipt_small", {"patch_size": 26}, "patch_size must be a multiple of 12, got 26"),
        ("ramit", {"channels": 40}, r"channels \(=40\) must be a multiple of 16"),
        ("ramit", {"num_heads": (1,)}, r"num_heads must be two numbers above zero, got \(1,\)"),
        ("ramit", {"num_heads": (4, 0)}, r"num_heads must be two numbers above zero, got \(4, 0\)"),
        ("ramit", {"channels": 48}, "in_channels must be divisible by groups"),
    ],
)
def test_arguments_that_a_network_would_bend_are_refused(name, arguments, rule):
    with pytest.raises(errors.ModelArgumentError, match=rule):
        sr_zoo.create_model(name, 4, pretrained=False, **arguments)


def test_a_network_without_colour_statistics_for_a_scale_names_the_scales():
    with pytest.raises(ValueError, match=r"scale must be one of \(2, 3, 4\), got 8"):
        spec_of("ramit").network(scale=8)


def test_trying_arguments_out_leaves_the_random_weights_as_they_would_be():
    torch.manual_seed(0)
    plain = sr_zoo.create_model("rlfn_s", 4, pretrained=False)
    torch.manual_seed(0)
    tried = sr_zoo.create_model("rlfn_s", 4, pretrained=False, num_blocks=6)
    assert torch.equal(plain.head.weight, tried.head.weight)


def test_a_weight_of_costs_may_be_negative():
    assert sr_zoo.create_model("pcsr_fsrcnn", 4, pretrained=False, k=-1).k == -1


def test_overrides_may_be_numbers_of_numpy_and_lists(tmp_path):
    network = sr_zoo.create_model("rlfn", pretrained=False, channels=np.int64(8))
    network.save_pretrained(tmp_path / "narrow")
    assert sr_zoo.load_model(tmp_path / "narrow").identity.arguments["channels"] == 8
    lists = sr_zoo.create_model("swinir_light", pretrained=False, depths=[1, 1])
    assert lists.identity.arguments["depths"] == (1, 1)


def test_overrides_that_change_shapes_refuse_pretrained_weights():
    with pytest.raises(errors.ModelArgumentError, match="num_blocks=3 changes the shape of rlfn_s"):
        sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo", num_blocks=3)


def test_missing_weights_say_what_exists():
    with pytest.raises(errors.WeightsNotFoundError, match=r"seemore_l x4.*pretrained=False"):
        sr_zoo.create_model("seemore_l", 4)
    with pytest.raises(errors.WeightsNotFoundError, match=r"ecbsr_rgb_m4c16 x4.*some for x2"):
        sr_zoo.create_model("ecbsr_rgb_m4c16", 4)


@pytest.mark.parametrize("pretrained", [None, "", 1, Path("file.pth")])
def test_pretrained_that_is_neither_yes_nor_no_nor_a_tag(pretrained):
    with pytest.raises(errors.OptionError, match=r"pretrained=.*True, False or a tag.*checkpoint="):
        sr_zoo.create_model("rlfn_s", 4, pretrained=pretrained)


def test_interpolation_has_no_weights_to_name():
    with pytest.raises(errors.WeightsNotFoundError, match="bicubic x4 with the tag 'official'"):
        sr_zoo.create_model("bicubic", 4, pretrained="official")


def test_checkpoint_in_our_layout(tmp_path):
    network = sr_zoo.create_model("rdan_s", 2, pretrained=False)
    save_file(network.state_dict(), tmp_path / "own.safetensors")
    twin = sr_zoo.create_model("rdan_s", 2, checkpoint=tmp_path / "own.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True)
    )


def test_checkpoint_with_a_tensor_too_few_or_too_many(tmp_path):
    state = sr_zoo.create_model("rdan_s", 2, pretrained=False).state_dict()
    torch.save({k: v for k, v in state.items() if k != "head.bias"}, tmp_path / "few.pth")
    with pytest.raises(errors.CheckpointError, match=r"1 missing: head\.bias"):
        sr_zoo.create_model("rdan_s", 2, checkpoint=tmp_path / "few.pth")
    torch.save({**state, "extra.weight": torch.ones(1)}, tmp_path / "many.pth")
    with pytest.raises(errors.CheckpointError, match=r"1 unexpected: extra\.weight"):
        sr_zoo.create_model("rdan_s", 2, checkpoint=tmp_path / "many.pth")


@pytest.mark.parametrize(
    ("model", "saved", "asked", "said"),
    [
        ("fsrcnn", {"scale": 4}, {"scale": 2}, "of fsrcnn with scale=4, but .* has scale=2"),
        ("vdsr", {"scale": 2}, {"scale": 3}, "scale=2, but .* scale=3"),
        ("esrt", {"num_heads": 4}, {"num_heads": 8}, "num_heads=4, but .* num_heads=8"),
    ],
)
def test_checkpoint_that_says_it_is_of_another_network(tmp_path, model, saved, asked, said):
    sr_zoo.create_model(model, pretrained=False, **saved).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    with pytest.raises(errors.CheckpointError, match=rf"{said}.*load_model\(FILE\)"):
        sr_zoo.create_model(model, checkpoint=file, **asked)
    own = sr_zoo.create_model(model, checkpoint=file, **saved).identity
    assert own == sr_zoo.load_model(file).identity


def test_checkpoint_of_another_model_is_named(tmp_path):
    file = tmp_path / "file.pth"
    torch.save(sr_zoo.create_model("rlfn_s", 4, pretrained=False).state_dict(), file)
    said = r"does not fit rlfn x2: .* misshapen: .*\. By its tensors it is rlfn_s x4; .*load_model"
    with pytest.raises(errors.CheckpointError, match=said):
        sr_zoo.create_model("rlfn", 2, checkpoint=file)
    torch.save(sr_zoo.create_model("pan", 3, pretrained=False).state_dict(), file)
    with pytest.raises(errors.CheckpointError, match="By its tensors it is pan x2 or pan x3;"):
        sr_zoo.create_model("pan", 4, checkpoint=file)


@pytest.mark.parametrize(
    ("saved", "asked"), [("ecbsr_m4c16", "ecbsr_m4c16_idt"), ("arm_fsrcnn", "fsrcnn_pcsr")]
)
def test_checkpoint_of_another_architecture_with_the_same_tensors(tmp_path, saved, asked):
    scale = spec_of(asked).variants[asked].scales[0]
    sr_zoo.create_model(saved, scale, pretrained=False).save_pretrained(tmp_path)
    said = rf"says that it is of {saved}, which only looks like {asked} x{scale}; .*load_model"
    with pytest.raises(errors.CheckpointError, match=said):
        sr_zoo.create_model(asked, scale, checkpoint=tmp_path / "model.safetensors")


def test_checkpoint_of_a_fused_network_for_the_plain_form(tmp_path):
    torch.manual_seed(0)
    fused = sr_zoo.create_model("ecbsr_m4c16_idt", 2, pretrained=False, fuse=True)
    fused.save_pretrained(tmp_path)
    plain = sr_zoo.create_model("ecbsr_m4c16_plain", 2, checkpoint=tmp_path / "model.safetensors")
    x = torch.rand(1, 3, 12, 12)
    with torch.inference_mode():
        assert torch.equal(plain(x), fused(x))


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Let the manifest know a file, as the weights of a model at some scales."""

    def know(content, model, *scales, key=None):
        torch.save(content, tmp_path / "known.pth")
        digest = sha256_of(tmp_path / "known.pth")
        entries = tuple(
            replace(
                load_manifest().entries[0],
                id=f"{model}_x{scale}.official",
                model=model,
                scale=scale,
                sha256=digest,
                key=key,
            )
            for scale in scales
        )
        monkeypatch.setattr("sr_zoo.api.load_manifest", lambda: Manifest(entries))
        return tmp_path / "known.pth"

    return know


def test_checkpoint_that_the_manifest_knows_is_not_taken_for_another_scale(known):
    file = known(sr_zoo.create_model("pan", 2, pretrained=False).state_dict(), "pan", 2)
    assert sr_zoo.create_model("pan", 2, checkpoint=file).scale == 2
    said = r"is, by its SHA-256, the file of pan_x2\.official, not of pan x3; .*load_model\(FILE\)"
    with pytest.raises(errors.CheckpointError, match=said):
        sr_zoo.create_model("pan", 3, checkpoint=file)


def test_checkpoint_that_serves_several_scales_loads_at_each(known):
    content = sr_zoo.create_model("carn_m", 2, pretrained=False).state_dict()
    file = known(content, "carn_m", 2, 3)
    for scale in (2, 3):
        assert sr_zoo.create_model("carn_m", scale, checkpoint=file).scale == scale
    with pytest.raises(errors.CheckpointError, match=r"carn_m_x2\.official, carn_m_x3\.official"):
        sr_zoo.create_model("carn_m", 4, checkpoint=file)


def test_checkpoint_that_the_manifest_knows_under_another_name_of_the_same_network(known):
    file = known(sr_zoo.create_model("rlfn_s", 2, pretrained=False).state_dict(), "rlfn_s", 2)
    sizes = {k: v for k, v in variant_arguments("rlfn_s", 2).items() if k != "scale"}
    assert sr_zoo.create_model("rlfn", 2, checkpoint=file, **sizes).identity.name == "rlfn"


def test_checkpoint_that_the_manifest_knows_is_read_where_it_says(known):
    states = [sr_zoo.create_model("rdan_s", 2, pretrained=False).state_dict() for _ in range(2)]
    file = known({"params": states[0], "params_ema": states[1]}, "rdan_s", 2, key="params")
    loaded = sr_zoo.create_model("rdan_s", 2, checkpoint=file).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in states[0].items())


def test_checkpoint_for_arguments_given_as_a_list(tmp_path):
    arguments = {"shared_scales": [2, 4]}
    sr_zoo.create_model("carn_m", 2, pretrained=False, **arguments).save_pretrained(tmp_path)
    sr_zoo.create_model("carn_m", 2, checkpoint=tmp_path / "model.safetensors", **arguments)


def test_checkpoint_that_does_not_exist(tmp_path):
    with pytest.raises(errors.WeightsNotFoundError, match="does not exist"):
        sr_zoo.create_model("rdan_s", 2, checkpoint=tmp_path / "none.pth")


def test_checkpoint_and_tag_cannot_both_name_weights(tmp_path):
    with pytest.raises(errors.OptionError, match="give one of them"):
        sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo", checkpoint=tmp_path / "x.pth")


def test_load_model_by_id_and_what_it_says_of_unknown_ones():
    network = sr_zoo.load_model("rlfn_s_x4.sr_zoo")
    assert network.identity.name == "rlfn_s"
    assert not network.training
    for build in (sr_zoo.load_model, sr_zoo.create_model):
        with pytest.raises(errors.WeightsNotFoundError, match=r"Did you mean 'rlfn_s_x4\.sr_zoo'"):
            build("rlfn_s_x4.srzoo")


def test_a_saved_network_comes_back_by_its_folder(tmp_path):
    network = sr_zoo.create_model("rdan_s", 2, pretrained=False, num_blocks=1)
    network.save_pretrained(tmp_path / "mine")
    twin = sr_zoo.create_model(str(tmp_path / "mine"))
    assert twin.identity == network.identity
    assert all(map(torch.equal, network.parameters(), twin.parameters()))
    with pytest.raises(errors.OptionError, match=r"brings its own weights.*num_blocks cannot"):
        sr_zoo.create_model(str(tmp_path / "mine"), num_blocks=2)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("RLFN_S", "rlfn_s"), ("RCAN", "rcan"), ("SwinIR", "swinir"), ("edsr", "edsr_baseline")],
)
def test_names_as_papers_write_them_are_understood(asked, meant):
    with pytest.raises(errors.UnknownModelError, match=f"Did you mean '{meant}'"):
        sr_zoo.create_model(asked)


def test_a_network_that_could_not_be_loaded_again_is_not_saved(tmp_path):
    network = sr_zoo.create_model("rlfn_s", 2, pretrained=False)
    network.head = torch.nn.Sequential(network.head)
    with pytest.raises(errors.ModelArgumentError, match=r"rlfn_s was changed .* head\.0\.bias"):
        network.save_pretrained(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_what_is_of_one_scale_is_not_loaded_at_another(tmp_path):
    sr_zoo.create_model("fsrcnn", 2, pretrained=False).save_pretrained(tmp_path)
    assert sr_zoo.load_model(tmp_path, scale=2).scale == 2
    with pytest.raises(errors.CheckpointError, match="not of scale 3, they fit fsrcnn x2"):
        sr_zoo.load_model(tmp_path, scale=3)
    assert sr_zoo.create_model(tmp_path).scale == 2
    with pytest.raises(errors.CheckpointError, match="not of scale 4, they fit fsrcnn x2"):
        sr_zoo.create_model(tmp_path, 4)
    assert sr_zoo.load_model("rlfn_s_x4.sr_zoo", scale=4).scale == 4
    with pytest.raises(
        errors.ScaleNotAvailableError, match=r"rlfn_s_x4\.sr_zoo is of scale 4, not 2"
    ):
        sr_zoo.load_model("rlfn_s_x4.sr_zoo", scale=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda():
    with pytest.raises(errors.DeviceError, match="no CUDA device; use device='cpu'"):
        sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo", device="cuda")


@pytest.mark.parametrize("device", ["gpu", 1.5])
def test_unknown_device(device):
    with pytest.raises(errors.DeviceError, match=f"Unknown device {device!r}"):
        sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo", device=device)


@pytest.mark.parametrize("device", ["xpu", "hpu"])
def test_device_that_this_torch_cannot_use(device):
    with pytest.raises(errors.DeviceError, match=rf"'{device}' cannot .*; use device='cpu'"):
        sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo", device=device)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.int8, torch.complex64])
def test_dtype_that_weights_cannot_have(dtype):
    with pytest.raises(errors.OptionError, match=rf"dtype={dtype!r} .*torch\.bfloat16"):
        sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo", dtype=dtype)
    with pytest.raises(errors.OptionError, match=rf"dtype={dtype!r} .*torch\.bfloat16"):
        sr_zoo.load_model("rlfn_s_x4.sr_zoo", dtype=dtype)


def test_dtype():
    network = sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo", dtype=torch.bfloat16)
    assert {p.dtype for p in network.parameters()} == {torch.bfloat16}
