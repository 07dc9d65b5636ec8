"""The authors' own files: recognised, loaded by name too, and as good as the authors' networks."""

import json
from statistics import fmean

import pytest
import torch
from shared_data import SHARED, shared

import sr_zoo
from sr_zoo.errors import CheckpointError
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.metrics import psnr_y
from sr_zoo.registry import family_of, spec_of
from sr_zoo.weights.cache import put, sha256_of
from sr_zoo.weights.convert import converter_of
from sr_zoo.weights.manifest import load_manifest

TOLERANCE = 0.02  # dB, on Set5; the LR images came from two mirrors
ENTRIES = load_manifest().entries


def facts():
    """Return what is known of each file in the folder, by SHA-256 and scale."""
    return {
        (record["sha256"], record["scale"]): (path.parent / record["file"], record)
        for path in sorted((SHARED / "weights").glob("*/provenance.json"))
        for record in json.loads(path.read_text())
    }


FACTS = {key: fact for key, fact in facts().items() if fact[0].is_file()}
REAL = [entry for entry in ENTRIES if (entry.sha256, entry.scale) in FACTS]
# this library's own first weights, which those in the package have taken the place of
UNLISTED = sorted(
    FACTS.keys() - {(entry.sha256, entry.scale) for entry in REAL},
    key=lambda key: FACTS[key][0],
)


@torch.inference_mode()
def set5(network):
    """Return the mean PSNR of luminance in dB, as papers measure it."""
    scores = []
    for sample in open_folder(shared("data", "eval", "Set5"), network.scale).samples:
        lr, hr = sample.read()
        pixels = torch.from_numpy(lr).permute(2, 0, 1)[None] / 255
        sr = network(pixels)[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
        scores.append(psnr_y(sr.numpy(), hr, shave=network.scale))
    return fmean(scores)


@pytest.mark.slow
@pytest.mark.parametrize("entry", REAL, ids=lambda entry: entry.id)
def test_a_file_of_the_authors_gives_their_numbers(entry, tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path))
    file, record = FACTS[entry.sha256, entry.scale]
    assert sha256_of(file) == entry.sha256
    put(entry, file)
    by_id = sr_zoo.load_model(entry.id)
    shared_file = len(load_manifest().by_sha256(entry.sha256)) > 1
    by_detection = sr_zoo.load_model(file, scale=entry.scale if shared_file else None)
    assert by_detection.identity == by_id.identity
    state = by_detection.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in by_id.state_dict().items())
    assert set5(by_id) == pytest.approx(record["measured"]["Set5"][0], abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("key", UNLISTED, ids=lambda key: FACTS[key][0].stem)
def test_a_file_that_the_manifest_does_not_list_gives_its_numbers_too(key):
    file, record = FACTS[key]
    network = sr_zoo.load_model(file)
    assert (network.identity.name, network.scale) == (record["model"], record["scale"])
    assert set5(network) == pytest.approx(record["measured"]["Set5"][0], abs=TOLERANCE)


def smallest_of_each_family():
    chosen = {}
    for entry in sorted(ENTRIES, key=lambda entry: -entry.num_params):
        chosen[family_of(entry.model)] = entry
    return sorted(chosen.values(), key=lambda entry: entry.id)


@pytest.mark.parametrize("entry", smallest_of_each_family(), ids=lambda entry: entry.id)
def test_random_weights_take_the_same_way(entry, tmp_path):
    torch.manual_seed(0)
    network = sr_zoo.create_model(entry.model, entry.scale, pretrained=False)
    converter = converter_of(spec_of(entry.model).network)
    state = network.state_dict()
    torch.save({"params": converter.save(state) if converter else state}, tmp_path / "file.pth")
    try:
        loaded = sr_zoo.load_model(tmp_path / "file.pth", scale=entry.scale)
    except CheckpointError as error:
        if f"{entry.model} x{entry.scale}" not in str(error):  # one of several that fit
            raise
        loaded = sr_zoo.create_model(entry.model, entry.scale, checkpoint=tmp_path / "file.pth")
    assert loaded.identity == network.identity
    x = torch.rand(1, 3, 12, 12)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))
