"""Networks of other packages, whose names stand wherever names of models do."""

import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import sr_zoo
from sr_zoo import errors, registry
from sr_zoo.export import export_model
from sr_zoo.inference.tiling import measure_halo
from sr_zoo.network import SRNetwork

PAGE = Path(__file__).parent.parent / "docs" / "api.md"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The module that the documentation shows, as another package that is forgotten after."""
    (tmp_path / "mine.py").write_text(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1])
    monkeypatch.syspath_prepend(tmp_path)
    before = set(registry.MODELS)
    import mine

    yield mine
    sys.modules.pop("mine")
    for name in [name for name in registry.MODELS if name not in before]:
        del registry.MODELS[name], registry.REGISTERED[name]


def test_its_name_is_a_models_name(mine):
    assert sr_zoo.list_models("mine*") == ["mine", "mine_wide"]
    assert sr_zoo.model_info("mine").scales == (2, 3, 4)
    wide = sr_zoo.create_model("mine_wide", 2, pretrained=False)
    assert wide.head.out_channels == 64
    with pytest.raises(errors.WeightsNotFoundError, match="mine"):
        sr_zoo.create_model("mine", 4, pretrained=True)


def test_the_halo_of_the_example_is_measured(mine):
    assert measure_halo(mine.network, 6) == mine.HALO


def test_its_tiles_are_exact(mine):
    image = torch.rand(3, 90, 110)
    whole = sr_zoo.Upscaler(mine.network, tile=None, runtime="torch", dtype="float32")(image)
    tiled = sr_zoo.Upscaler(mine.network, tile=24, runtime="torch", dtype="float32")(image)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=1e-5)


def test_it_is_saved_loaded_and_exported(mine, tmp_path):
    mine.network.save_pretrained(tmp_path / "saved")
    loaded = sr_zoo.load_model(tmp_path / "saved")
    x = torch.rand(1, 3, 20, 17)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), mine.network(x))
    exported = export_model(mine.network, tmp_path / "mine.pt2", to="torch-export")
    small = np.zeros((9, 8, 3), np.uint8)
    assert sr_zoo.upscale(small, model=str(exported.path)).shape == (36, 32, 3)


def test_weights_say_what_is_to_be_imported_first(mine, tmp_path):
    mine.network.save_pretrained(tmp_path / "saved")
    command = [sys.executable, "-c", "import sr_zoo, sys; sr_zoo.load_model(sys.argv[1])"]
    done = subprocess.run([*command, tmp_path / "saved"], capture_output=True, text=True)
    assert "of mine, which is no model here; import the package that registers it" in done.stderr


def test_another_process_knows_it_by_importing_it(mine, tmp_path):
    packed = tmp_path / "upscaler"
    packed.write_bytes(pickle.dumps(sr_zoo.Upscaler(mine.network, runtime="torch")))
    program = (
        "import pickle, sys; sys.path.insert(0, sys.argv[1]); import numpy as np\n"
        "upscaler = pickle.load(open(sys.argv[2], 'rb'))\n"
        "print(upscaler(np.zeros((9, 8, 3), np.uint8)).shape)"
    )
    command = [sys.executable, "-c", program, tmp_path, packed]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "(36, 32, 3)\n"


def test_the_same_class_can_be_registered_again(mine):
    again = replace(registry.spec_of("mine"), tags=("cnn",))
    sr_zoo.register_model(again)
    assert sr_zoo.model_info("mine").tags == ("cnn",)


class Other(SRNetwork):
    def __init__(self, *, scale: int) -> None:
        super().__init__(scale)


class ByPosition(SRNetwork):
    def __init__(self, scale: int) -> None:
        super().__init__(scale)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": Other}, r"mine is registered for mine\.Mine already; choose another name"),
        ({"variants": {"rlfn": None}}, "rlfn is a model of this library; choose another name"),
        ({"variants": {"Mine.x4": None}}, "small letters, digits and underscores, and 'Mine.x4'"),
        (
            {"network": torch.nn.Conv2d},
            r"subclass of sr_zoo\.network\.SRNetwork; .*Conv2d.* is none",
        ),
        ({"network": ByPosition}, r"built as ByPosition\(\*, scale, \.\.\.\), with keywords only"),
        ({"tags": ("fast",)}, "Unknown tag 'fast'; known are cnn"),
    ],
)
def test_what_cannot_be_registered_is_refused(mine, changes, message):
    with pytest.raises(errors.OptionError, match=message):
        sr_zoo.register_model(replace(registry.spec_of("mine"), **changes))
