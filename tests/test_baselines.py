"""What papers compare with: no golden exists, so sizes and costs are checked against tables.

Multiply-adds and parameters are those of table 3 (SRCNN, VDSR) and table 1 (EDSR baseline) of Zhang
et al., "Aligned Structured Sparsity Learning for Efficient Image Super-Resolution", NeurIPS 2021;
RCAN's as UCAN's authors list them.
"""

import numpy as np
import pytest
import torch
from PIL import Image
from shared_data import shared

from sr_zoo.evaluation.complexity import count_complexity
from sr_zoo.evaluation.metrics import psnr_y
from sr_zoo.evaluation.resize import imresize
from sr_zoo.network import SRNetwork
from sr_zoo.registry import spec_of
from sr_zoo.weights.convert import converter_of


def build(name: str, scale: int) -> SRNetwork:
    spec = spec_of(name)
    return spec.network(**spec.variants[name].resolve(scale)).eval()


@pytest.mark.parametrize(
    ("name", "scale", "thousands", "billions"),
    [
        ("srcnn", 2, 57, 52.7),
        ("srcnn", 3, 57, 52.7),
        ("srcnn", 4, 57, 52.7),
        ("vdsr", 2, 665, 612.6),
        ("vdsr", 3, 665, 612.6),
        ("vdsr", 4, 665, 612.6),
        ("edsr_baseline", 2, 1369.9, 316.3),
        ("rcan", 4, 15592, 917.6),
    ],
)
def test_baselines_cost_what_the_tables_say(name, scale, thousands, billions):
    with torch.device("meta"):
        network = build(name, scale)
    cost = count_complexity(network)
    # tables cut digits off, and leave out that the LR image is rounded up to whole pixels
    assert cost.num_params / 1e3 == pytest.approx(thousands, abs=1)
    assert cost.macs / 1e9 == pytest.approx(billions, rel=3e-3)


@pytest.mark.parametrize(
    ("name", "scale", "names"),
    [
        ("edsr_baseline", 4, ["head.0", "body.15.body.2", "body.16", "tail.0.2", "tail.1"]),
        ("edsr_baseline", 3, ["head.0", "body.0.body.0", "body.16", "tail.0.0", "tail.1"]),
        (
            "rcan",
            2,
            ["body.9.body.19.body.3.conv_du.2", "body.9.body.20", "body.10", "tail.0.0", "tail.1"],
        ),
    ],
)
def test_converters_read_the_names_of_the_authors_files(name, scale, names):
    with torch.device("meta"):
        state = build(name, scale).state_dict()
    converter = converter_of(spec_of(name).network)
    theirs = converter.save(state)
    assert {f"{module}.weight" for module in names} <= theirs.keys()
    shift = {"sub_mean.weight": torch.eye(3)[..., None, None], "add_mean.bias": torch.ones(3)}
    assert converter.load({**theirs, **shift}).keys() == state.keys()


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_nearest_repeats_pixels(scale):
    x = torch.rand(2, 3, 5, 7)
    repeated = x.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    assert torch.equal(build("nearest", scale)(x), repeated)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_bicubic_is_matlabs(scale):
    x = torch.rand(1, 3, 6, 9)
    assert torch.allclose(build("bicubic", scale)(x), imresize(x, scale), atol=1e-6)


@pytest.mark.parametrize(("scale", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_gives_the_first_row_of_every_table(scale, published):
    paths = sorted(shared("data", "eval", "Set5", "HR").glob("*.png"))
    values = []
    for path in paths:
        lr_path = path.parents[1] / "LR_bicubic" / f"X{scale}" / f"{path.stem}x{scale}.png"
        hr, lr = (np.array(Image.open(file).convert("RGB")) for file in (path, lr_path))
        x = torch.from_numpy(lr).movedim(-1, 0)[None] / 255
        height, width = (side * scale for side in lr.shape[:2])
        values.append(psnr_y(build("bicubic", scale)(x), hr[:height, :width], shave=scale))
    assert np.mean(values) == pytest.approx(published, abs=0.02)


def test_lanczos_keeps_a_flat_image_and_passes_through_pixels():
    flat = torch.full((1, 3, 4, 5), 0.3)
    assert torch.allclose(build("lanczos", 4)(flat), torch.tensor(0.3))
    x = torch.rand(1, 3, 8, 8)
    # at x3 every third output pixel lies on an input pixel
    assert torch.allclose(build("lanczos", 3)(x)[..., 1::3, 1::3], x, atol=1e-6)


def test_an_unknown_kernel_is_named():
    with pytest.raises(ValueError, match="one of cubic, lanczos, nearest, got 'box'"):
        spec_of("bicubic").network(scale=2, kernel="box")
