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
