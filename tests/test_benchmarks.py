import json
from statistics import fmean

import pytest
from shared_data import shared

from sr_zoo.evaluation.candidates import find_candidates
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.evaluate import evaluate
from sr_zoo.evaluation.metrics import psnr_y
from sr_zoo.evaluation.resize import imresize
from sr_zoo.weights.manifest import Bundled, load_manifest

# Dong et al., SRCNN, TPAMI 2016
PUBLISHED_BICUBIC = {2: 33.66, 3: 30.39, 4: 28.42}


@pytest.mark.parametrize("scale", PUBLISHED_BICUBIC)
def test_bicubic_has_the_published_row(scale):
    scores = []
    for sample in open_folder(shared("data", "eval", "Set5"), scale).samples:
        lr, hr = sample.read()
        scores.append(psnr_y(imresize(lr, scale), hr, shave=scale))
    assert fmean(scores) == pytest.approx(PUBLISHED_BICUBIC[scale], abs=0.02)


def test_numbers_of_the_bundled_weights_are_measured_again():
    folder = shared("data", "eval", "Set5")
    bundled = [e for e in load_manifest().entries if isinstance(e.source, Bundled) and e.metrics]
    assert bundled
    candidates, problems = find_candidates([entry.id for entry in bundled])
    assert not problems
    sets = [open_folder(folder, scale) for scale in {entry.scale for entry in bundled}]
    for row in evaluate(candidates, sets).rows():
        expected = load_manifest().by_id(row.candidate).metrics["Set5"]
        assert row.scores == pytest.approx(dict(expected), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["Set5", "Set14"])
@pytest.mark.parametrize("model", ["cfsr", "fiwhn", "ramit_1", "ramit_slim"])
def test_attention_networks_with_the_authors_files_reach_what_theirs_do(model, data):
    folder = shared("weights", model)
    known = json.loads((folder / "provenance.json").read_text())
    present = [entry for entry in known if (folder / entry["file"]).is_file()]
    assert present
    for entry in present:
        candidates, problems = find_candidates([str(folder / entry["file"])])
        assert not problems
        images = open_folder(shared("data", "eval", data), entry["scale"])
        (row,) = evaluate(candidates, [images]).rows()
        assert row.scores["psnr_y"] == pytest.approx(entry["measured"][data][0], abs=0.02)
