"""The authors' weights of the dynamic networks give the measured values in every mode."""

import json
from statistics import fmean

import numpy as np
import pytest
import torch
from shared_data import shared

import sr_zoo
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.metrics import psnr_y

MODES = {
    "arm_fsrcnn": {f"width_{w}": {"width": w} for w in (16, 36, 56)},
    "arm_carn": {f"width_{w}": {"width": w} for w in (36, 52, 64)},
    **{
        name: {
            "k0": {},
            "light": {"k": 50.0},
            "heavy": {"k": -50.0},
            "adaptive": {"k": None},
            "k0_norefine": {"refine": False},
        }
        for name in ("pcsr_carn", "pcsr_fsrcnn")
    },
}


def measured(name, mode):
    facts = json.loads(shared("weights", name, "provenance.json").read_text())[0]
    known = facts["measured"]
    return shared("weights", name, facts["file"]), (known.get("modes") or known["per_width"])[mode]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes]
)
@torch.inference_mode()
def test_every_mode_gives_what_was_measured(name, mode, dataset):
    file, expected = measured(name, mode)
    network = sr_zoo.create_model(name, 4, checkpoint=file, **MODES[name][mode])
    scores = []
    for sample in open_folder(shared("data", "eval", dataset), 4).samples:
        lr, hr = sample.read()
        image = torch.from_numpy(lr.astype(np.float32) / 255).permute(2, 0, 1)[None]
        output = network(image)[0].clamp(0, 1)
        scores.append(psnr_y(output, torch.tensor(hr).permute(2, 0, 1), shave=4))
    assert fmean(scores) == pytest.approx(expected[dataset][0], abs=0.02)
