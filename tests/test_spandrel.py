"""spandrel loads the library's networks once they are installed there."""

import pytest
import torch
from spandrel import MAIN_REGISTRY, ModelLoader, ModelTiling, UnsupportedModelError

import sr_zoo
from sr_zoo.integrations.spandrel import NAME, install
from sr_zoo.weights.convert import converter_of


@pytest.fixture
def registry():
    """Return a copy, so that no other test meets what is installed here."""
    registry = MAIN_REGISTRY.copy()
    install(registry)
    return registry


def small():
    torch.manual_seed(0)
    return sr_zoo.create_model(
        "rlfn", 2, pretrained=False, channels=12, hidden=8, num_blocks=2, esa_channels=4
    )


@pytest.mark.parametrize("layout", ["ours", "official"])
def test_a_file_is_loaded_by_spandrel(registry, tmp_path, layout):
    network = small()
    state = network.state_dict()
    content = {"params": converter_of(type(network)).save(state) if layout == "official" else state}
    torch.save(content, tmp_path / "file.pth")
    loaded = ModelLoader(registry=registry).load_from_file(tmp_path / "file.pth")
    assert (loaded.architecture.id, loaded.scale, loaded.purpose) == (NAME, 2, "SR")
    assert "rlfn" in loaded.tags
    x = torch.rand(1, 3, 17, 19)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x).clamp(0, 1))


def test_tiling_is_discouraged_where_a_layer_sees_everything(registry):
    state = sr_zoo.create_model("imdn", 2, pretrained=False).state_dict()
    loaded = ModelLoader(registry=registry).load_from_state_dict(dict(state))
    assert loaded.tiling is ModelTiling.DISCOURAGED


def test_what_is_not_ours_stays_with_spandrel(registry):
    with pytest.raises(UnsupportedModelError):
        ModelLoader(registry=registry).load_from_state_dict({"some.thing": torch.zeros(1)})


def test_installing_twice_changes_nothing(registry):
    before = len(registry)
    install(registry)
    assert len(registry) == before
