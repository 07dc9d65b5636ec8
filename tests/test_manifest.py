"""The manifest is data that the code must agree with: its schema, its counts, its files."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import torch

import sr_zoo.weights
from sr_zoo.errors import WeightsNotFoundError
from sr_zoo.registry import spec_of
from sr_zoo.weights.cache import BUNDLED, sha256_of
from sr_zoo.weights.manifest import Bundled, load_manifest, manifest_path

ENTRIES = load_manifest().entries
SCHEMA = Path(sr_zoo.weights.__file__).parent / "manifest.schema.json"


def test_the_manifest_follows_its_schema():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(manifest_path().read_text(encoding="utf-8")), schema)


def test_ids_name_model_scale_and_tag_and_are_unique():
    assert [e.id for e in ENTRIES] == [f"{e.model}_x{e.scale}.{e.tag}" for e in ENTRIES]
    assert len({e.id for e in ENTRIES}) == len(ENTRIES)


def test_every_model_and_scale_with_weights_has_one_default():
    defaults = Counter((e.model, e.scale) for e in ENTRIES if e.default)
    assert defaults == Counter({(e.model, e.scale) for e in ENTRIES})


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_parameter_count_is_that_of_the_network(entry):
    spec = spec_of(entry.model)
    with torch.device("meta"):
        network = spec.network(**spec.variants[entry.model].resolve(entry.scale))
    assert entry.num_params == sum(p.numel() for p in network.parameters())


def test_bundled_files_are_the_ones_that_the_manifest_names():
    bundled = {e.source.file: e for e in ENTRIES if isinstance(e.source, Bundled)}
    assert {path.name for path in BUNDLED.glob("*.safetensors")} == bundled.keys()
    for name, entry in bundled.items():
        assert (BUNDLED / name).stat().st_size == entry.bytes
        assert sha256_of(BUNDLED / name) == entry.sha256


def test_the_best_bundled_weights_come_first():
    order = [e.metrics["Set5"]["psnr_y"] for e in load_manifest().bundled(4)]
    assert order
    assert order == sorted(order, reverse=True)


def test_lookups():
    manifest = load_manifest()
    assert manifest.find("rlfn_s", 4).tag == "official"
    assert manifest.find("rlfn_s", 4, "sr_zoo") == manifest.by_id("rlfn_s_x4.sr_zoo")
    entry = manifest.by_id("rlfn_x2.official")
    assert manifest.by_sha256(entry.sha256) == (entry,)
    assert entry.file_name == "rlfn_x2.pth"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rlfn", 3), ("rlfn x3", "x2, x4", "pretrained=False")),
        (("rlfn", 4, "offical"), ("'offical'", "Tags at x4: official")),
        (
            ("nothing", 4),
            ("nothing x4", "None are known", "pretrained=False", "commands take FILE"),
        ),
    ],
)
def test_missing_weights_say_what_exists(arguments, words):
    with pytest.raises(WeightsNotFoundError) as caught:
        load_manifest().find(*arguments)
    assert all(word in str(caught.value) for word in words)


def test_an_unknown_id_gets_a_suggestion():
    with pytest.raises(WeightsNotFoundError, match=r"Did you mean 'rlfn_x2\.official'"):
        load_manifest().by_id("rlfn_x2.offical")


def test_reading_the_manifest_loads_no_torch():
    code = (
        "import sys; from sr_zoo.weights.manifest import load_manifest; load_manifest();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
