"""A weight file is recognised by its tensors alone, in both layouts and in any size."""

import json
import os
import random
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import sr_zoo
from sr_zoo.errors import CheckpointError
from sr_zoo.registry import MODELS, family_of, spec_of
from sr_zoo.weights import solve
from sr_zoo.weights.cache import sha256_of
from sr_zoo.weights.checkpoint import Checkpoint, read_checkpoint
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.detect import detect
from sr_zoo.weights.loading import load_file_into
from sr_zoo.weights.loading import shapes as shapes_in
from sr_zoo.weights.manifest import load_manifest
from sr_zoo.weights.outline import defaults_of, shapes_of
from sr_zoo.weights.slots import slots_of

SHARED = Path(os.environ.get("SR_ZOO_SHARED", Path(__file__).parents[2] / "shared")) / "weights"
LEARNED = sorted(name for name, family in MODELS.items() if family != "interpolation")
FIRST_OF_FORM = sorted({spec_of(n).network: n for n in reversed(LEARNED)}.values())


def checkpoint_of(shapes, network=None):
    """Return a checkpoint with these shapes, in the authors' layout if a network is named."""
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    converter = converter_of(network) if network else None
    return Checkpoint(converter.save(state) if converter else state)


def beside(name):
    """Return the models of a model's family."""
    return [other for other in LEARNED if family_of(other) == family_of(name)]


def layouts(network, shapes):
    """Return a network's tensors under our names and under the authors'."""
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    converter = converter_of(network)
    return [shapes] if converter is None else [shapes, shapes_in(converter.save(state))]


def patterns(names):
    return {re.sub(r"\d+", "#", name) for name in names}


@cache
def built(name, scale):
    """Return a variant's tensors in each layout."""
    network = spec_of(name).network
    return layouts(network, shapes_of(network, spec_of(name).variants[name].resolve(scale)))


def alike(checkpoint, names):
    """Return those models that have a checkpoint's tensors, each with its scale."""
    keys = [(name, scale) for name in names for scale in spec_of(name).variants[name].scales]
    return [key for key in keys if shapes_in(checkpoint.tensors) in built(*key)]


def networks_alike(checkpoint, names, arguments):
    """Return those models' networks that like arguments give a checkpoint's tensors."""
    wanted, found = shapes_in(checkpoint.tensors), set()
    for name in names:
        network, variant = spec_of(name).network, spec_of(name).variants[name]
        if not any(patterns(wanted) <= patterns(own) for own in built(name, variant.scales[-1])):
            continue
        known = defaults_of(network) | variant.resolve(arguments["scale"])
        tried = known | {name: value for name, value in arguments.items() if name in known}
        shapes = shapes_of(network, tried)
        if shapes and wanted in layouts(network, shapes):
            found.add(network)
    return found


@pytest.mark.parametrize("layout", ["ours", "official"])
@pytest.mark.parametrize("name", ["imdn_rtc", "rdan_s", "rlfn_ntire", "seemore_t"])
def test_named_variants_are_recognised(name, layout):
    check_named(name, layout, beside(name))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["ours", "official"])
@pytest.mark.parametrize("name", LEARNED)
def test_every_named_variant_is_recognised(name, layout):
    check_named(name, layout, LEARNED)


def check_named(name, layout, others):
    spec = spec_of(name)
    scale = spec.variants[name].scales[-1]
    arguments = defaults_of(spec.network) | spec.variants[name].resolve(scale)
    shapes = shapes_of(spec.network, arguments)
    checkpoint = checkpoint_of(shapes, spec_of(name).network if layout == "official" else None)
    same = alike(checkpoint, others)
    if len(same) > 1:
        with pytest.raises(CheckpointError, match=rf"fit {len(same)} networks: ") as raised:
            detect(checkpoint)
        assert all(f"{name} x{scale}" in str(raised.value) for name, scale in same)
        return
    detection = detect(checkpoint)
    assert (detection.model, detection.spec) == (name, spec)
    assert detection.arguments == arguments


def draw(name, seed):
    """Return random arguments that a model's network accepts and no variant has."""
    rng = random.Random(f"{name} {seed}")
    spec = spec_of(name)
    start = defaults_of(spec.network) | spec.variants[name].resolve(spec.variants[name].scales[-1])
    arguments = start
    for slot in slots_of(start):
        value = slot.get(arguments)
        if isinstance(value, float):
            continue
        for _ in range(4):
            changed = slot.put(
                arguments, rng.randint(max(1, value // 2), max(1, value + value // 2))
            )
            if shapes_of(spec.network, changed):
                arguments = changed
                break
    return arguments


@pytest.mark.parametrize("layout", ["ours", "official"])
@pytest.mark.parametrize(
    "name", ["ecbsr_m10c32_plain", "ecbsr_rgb_m4c16_plain", "imdn", "rdan", "rlfn"]
)
def test_sizes_that_no_variant_has_are_recognised(name, layout):
    check_odd_size(name, layout, 0, beside(name))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layout", ["ours", "official"])
@pytest.mark.parametrize("name", FIRST_OF_FORM)
def test_sizes_that_no_variant_has_are_recognised_in_every_form(name, layout, seed):
    check_odd_size(name, layout, seed, LEARNED)


def check_odd_size(name, layout, seed, others):
    network, arguments = spec_of(name).network, draw(name, seed)
    shapes = shapes_of(network, arguments)
    checkpoint = checkpoint_of(shapes, network if layout == "official" else None)
    networks = networks_alike(checkpoint, others, arguments)
    if len(networks) > 1:
        with pytest.raises(CheckpointError, match=rf"fit {len(networks)} networks: "):
            detect(checkpoint, scale=arguments["scale"])
        return
    detection = detect(checkpoint, scale=arguments["scale"])
    assert detection.spec == spec_of(name)
    assert shapes_of(network, detection.arguments) == shapes


def test_metadata_of_our_files_decide_what_shapes_cannot(tmp_path):
    network = spec_of("seemore_t").network
    arguments = defaults_of(network) | {
        "scale": 2,
        "channels": 12,
        "num_groups": 1,
        "context_depth": 1,
    }
    save_file(
        network(**arguments).state_dict(),
        tmp_path / "file.safetensors",
        metadata={"architecture": "seemore_t", "arguments": json.dumps(arguments)},
    )
    assert detect(read_checkpoint(tmp_path / "file.safetensors")).arguments == arguments


@pytest.mark.parametrize(
    "arguments",
    [
        '{"scale": 2, "num_groups": 1000000000}',
        '{"scale": 2, "num_groups": 2}',
        '{"scale": "two"}',
        "[]",
        "[1, 2]",
        "no JSON",
        "[" * 100_000,
    ],
    ids=["huge", "other", "text", "empty list", "list", "no JSON", "deep"],
)
@pytest.mark.parametrize("fused", ["true", "false"])
@pytest.mark.parametrize("tensors", [{}, {"head.weight": torch.zeros(0, 10**9)}], ids=["0", "1"])
def test_metadata_that_lie_are_refused(arguments, fused, tensors):
    metadata = {"architecture": "seemore_t", "arguments": arguments, "fused": fused}
    with pytest.raises(CheckpointError, match="metadata say seemore_t") as caught:
        detect(Checkpoint(tensors, metadata))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("ecbsr_rgb_m4c16", {"channels": 1000}),
        ("ecbsr_rgb_m4c16", {"num_blocks": 1000}),
        ("srformer_light", {"window_size": 300}),
    ],
    ids=["wide", "deep", "windows"],
)
@pytest.mark.parametrize("fused", ["true", "false"])
def test_metadata_that_claim_more_than_the_file_holds_build_nothing(
    model, arguments, fused, monkeypatch
):
    made = []
    reset = nn.Conv2d.reset_parameters
    monkeypatch.setattr(
        nn.Conv2d, "reset_parameters", lambda self: (made.append(self.weight), reset(self))
    )
    monkeypatch.setattr(torch.Tensor, "__sub__", lambda *_: pytest.fail("a table was computed"))
    known = defaults_of(spec_of(model).network) | spec_of(model).variants[model].resolve(4)
    metadata = {
        "architecture": model,
        "arguments": json.dumps(known | arguments),
        "fused": fused,
    }
    with pytest.raises(CheckpointError, match=f"metadata say {model}"):
        detect(Checkpoint({"head.weight": torch.zeros(1)}, metadata))
    assert len(made) < 100
    assert all(weight.is_meta for weight in made)


@pytest.mark.parametrize("name", ["ddistill_sr_train", "ecbsr_m4c16_idt", "span_ch28_train"])
def test_fused_networks_are_recognised_by_their_metadata(name, tmp_path):
    network = sr_zoo.create_model(
        name, spec_of(name).variants[name].scales[0], pretrained=False, fuse=True
    )
    network.save_pretrained(tmp_path)
    assert sr_zoo.load_model(tmp_path).identity == network.identity


def test_a_foreign_file_is_explained():
    with pytest.raises(CheckpointError, match="No network of the library"):
        detect(Checkpoint({"some.thing": torch.zeros(1)}))


def cut_out(shapes):
    del shapes["body.3.project.weight"]


def widen(shapes):
    shapes["body.3.project.weight"] = (52, 53, 1, 1)


@pytest.mark.parametrize(("damage", "said"), [(cut_out, "1 missing"), (widen, "1 misshapen")])
def test_a_file_that_nearly_fits_is_explained_without_trying_everything(damage, said, monkeypatch):
    builds = []

    def count(network, arguments):
        builds.append(network)
        return shapes_of(network, arguments)

    monkeypatch.setattr(solve, "shapes_of", count)
    shapes = dict(shapes_of(spec_of("rlfn").network, {"scale": 4}))
    damage(shapes)
    with pytest.raises(CheckpointError, match=rf"closest is rlfn x4.*{said}: body\.3\.project"):
        detect(checkpoint_of(shapes))
    assert len(builds) < 20


@pytest.mark.parametrize("layout", ["ours", "official"])
def test_networks_of_two_families_with_the_same_tensors_are_both_named(layout):
    network = spec_of("fsrcnn_pcsr").network
    shapes = shapes_of(network, {"scale": 4, "channels": 47})
    checkpoint = checkpoint_of(shapes, network if layout == "official" else None)
    with pytest.raises(CheckpointError, match=r"fit 2 networks: arm_fsrcnn x4, fsrcnn_pcsr x4"):
        detect(checkpoint)


def test_mapping_layers_of_any_number_are_recognised_in_the_authors_layout():
    network = spec_of("arm_fsrcnn").network
    arguments = {"scale": 4, "channels": 30, "hidden": 8, "num_layers": 6}
    detection = detect(checkpoint_of(shapes_of(network, arguments), network))
    assert detection.arguments.items() >= arguments.items()


@pytest.mark.parametrize("arguments", [{"channels": 29, "num_blocks": 14}, {"num_blocks": 7}])
def test_lists_that_end_otherwise_are_recognised_at_any_length(arguments):
    network = spec_of("ecbsr_m10c32_plain").network
    arguments = {"scale": 4, "channels": 20, **arguments}
    assert detect(checkpoint_of(shapes_of(network, arguments))).arguments == arguments


@pytest.mark.parametrize("arguments", [{"channels": 52}, {"channels": 48, "num_heads": (4, 1)}])
def test_widths_that_ramit_cannot_run_at_are_refused(arguments):
    with pytest.raises(ValueError, match="must be a multiple of 16 and of the number of heads"):
        spec_of("ramit").network(scale=4, expansion=None, **arguments)


def test_sets_of_scales_that_no_variant_has_are_recognised():
    network = spec_of("carn").network
    arguments = {"scale": 4, "channels": 24, "residual_blocks": 2, "shared_scales": (2, 4)}
    shapes = shapes_of(network, arguments)
    detection = detect(checkpoint_of(shapes), scale=4)
    assert detection.arguments == {"groups": 1, **arguments}


def test_a_scale_that_weights_do_not_serve_is_refused():
    with pytest.raises(ValueError, match=r"one of \(2, 3\), got 4"):
        spec_of("carn").network(scale=4, shared_scales=(2, 3))


def real_files():
    """Return the files of the manifest that a developer has, each with its entries."""
    by_file = {}
    for entry in load_manifest().entries:
        for file in SHARED.glob(f"*/{entry.file_name}"):
            if sha256_of(file) == entry.sha256:
                by_file.setdefault(file, []).append(entry)
    return by_file


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no folder of checkpoints at {SHARED}")
def test_the_authors_files_are_recognised_and_load():
    assert real_files()
    for file, entries in real_files().items():
        for entry in entries:
            scale = entry.scale if len(entries) > 1 else None
            checkpoint = read_checkpoint(file, key=entry.key)
            detection = detect(checkpoint, scale=scale, known_as=entries)
            assert (detection.model, detection.arguments["scale"]) == (entry.model, entry.scale)
            network = spec_of(entry.model).network(**detection.arguments)
            load_file_into(network, file, key=entry.key)


def test_one_file_for_several_scales_is_loaded_at_the_one_asked_for(tmp_path):
    torch.manual_seed(0)
    state = sr_zoo.create_model("carn_m", 2, pretrained=False).state_dict()
    torch.save(state, tmp_path / "carn_m.pth")
    with pytest.raises(CheckpointError, match=r"carn_m x2, carn_m x3.*load_model\(FILE, scale="):
        sr_zoo.load_model(tmp_path / "carn_m.pth")
    network = sr_zoo.load_model(tmp_path / "carn_m.pth", scale=3)
    assert (network.identity.name, network.scale) == ("carn_m", 3)
    with pytest.raises(CheckpointError, match="not of scale 8"):
        sr_zoo.load_model(tmp_path / "carn_m.pth", scale=8)


def test_an_outline_has_the_shapes_of_the_network():
    for name in ("awsrn_s", "ecbsr_m4c16", "swinir_light"):
        arguments = spec_of(name).variants[name].resolve(2)
        network = spec_of(name).network(**arguments)
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        assert shapes_of(type(network), arguments) == shapes


@pytest.mark.parametrize("layout", ["ours", "official"])
def test_load_model_builds_what_a_file_holds(tmp_path, layout):
    network = spec_of("rlfn").network(scale=2, channels=12, hidden=8, num_blocks=2, esa_channels=4)
    state = network.state_dict()
    torch.save(
        converter_of(type(network)).save(state) if layout == "official" else state, tmp_path / "f"
    )
    loaded = sr_zoo.load_model(tmp_path / "f")
    assert loaded.identity.arguments["channels"] == 12
    assert all(torch.equal(t, loaded.state_dict()[n]) for n, t in state.items())
