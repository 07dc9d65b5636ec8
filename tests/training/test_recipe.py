import json

import pytest

from sr_zoo.errors import OptionError
from sr_zoo.registry import spec_of
from sr_zoo.training.degradations import build_degradation
from sr_zoo.training.losses import find_loss
from sr_zoo.training.recipe import SHIPPED, Loss, Recipe, read_recipe, tomllib
from sr_zoo.training.strategies import find_strategy
from sr_zoo.training.trainer import train
from sr_zoo.weights.manifest import load_manifest

TOML = """
model = "rlfn_s"
scale = 2
[data]
train = ["photos"]
batch_size = 8
[[losses]]
name = "l1"
[[losses]]
name = "fft_l1"
weight = 0.1
[optimizer]
lr = 1
[distillation]
teacher = "rlfn_x2.official"
"""


def test_a_recipe_survives_writing_and_reading(tmp_path):
    (tmp_path / "mine.toml").write_text(TOML)
    recipe = read_recipe(tmp_path / "mine.toml")
    assert (recipe.scale, recipe.data.batch_size, recipe.optimizer.lr) == (2, 8, 1.0)
    assert [loss.weight for loss in recipe.losses] == [1.0, 0.1]
    assert recipe.distillation.teacher == "rlfn_x2.official"
    (tmp_path / "written.json").write_text(json.dumps(recipe.to_mapping()))
    assert read_recipe(tmp_path / "written.json") == recipe


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"modell": "rlfn"}, r"unknown key 'modell'\. Did you mean 'model'\?"),
        ({"model": "rlfn", "optimizer": {"lrr": 1}}, r"unknown key 'optimizer\.lrr'\. Did you mea"),
        ({"model": "rlfn", "losses": [{"name": "l1", "wait": 1}]}, r"unknown key 'losses\[0\]\."),
        ({"model": "rlfn", "data": {"lr_patch": 3}}, r"data takes: train, lr, val, patch_size"),
        ({"scale": 4}, "'model' is missing"),
        ({"model": "rlfn", "scale": "4"}, "scale must be of type int, got '4'"),
        ({"model": "rlfn", "iterations": True}, "iterations must be of type int, got True"),
        ({"model": "rlfn", "data": {"train": 3}}, r"data\.train must be a list, got 3"),
        ({"model": "rlfn", "arguments": 3}, "arguments must be a table, got 3"),
        ({"model": "rlfn", "data": 3}, "data must be a table, got 3"),
        ({"model": "rlfn", "epochs": 0}, "epochs must be positive, got 0"),
        ({"model": "rlfn", "scale": 3}, "patch_size .* must be a multiple of the scale 3, got 128"),
        ({"model": "rlfn", "ema": 1.0}, "ema must be at least 0 and less than 1"),
        ({"model": "rlfn", "optimizer": {"clip_norm": 0}}, "clip_norm must be positive, got 0"),
        ({"model": "rlfn", "optimizer": {"lr": float("nan")}}, "lr must be positive, got nan"),
        ({"model": "rlfn", "schedule": {"minimum": -1.0}}, "minimum must not be negative"),
        ({"model": "rlfn", "schedule": {"minimum": 1.0}}, "minimum must be at most optimizer.lr"),
        (
            {"model": "rlfn", "schedule": {"name": "multistep", "milestones": [250000]}},
            r"milestones must be parts of the run between 0 and 1.*\[250000",
        ),
        (
            {"model": "rlfn", "iterations": 50, "schedule": {"warmup": 50}},
            "warmup must be less than the 50 iterations of the run, got 50; shorten it",
        ),
        (
            {"model": "rlfn", "schedule": {"warmup": 9}, "stages": [{}, {"iterations": 5}]},
            r"stages\[1\]: schedule\.warmup must be less than the 5",
        ),
        ({"model": "rlfn", "seed": -1}, "seed must not be negative, got -1"),
        ({"model": "rlfn", "seed": 10**20}, r"seed must be less than 2\*\*63, got 10{20}"),
        ({"model": "rlfn", "iterations": 10**20}, r"iterations must be less than 2\*\*63"),
        ({"model": "rlfn", "data": {"workers": -1}}, r"data\.workers must not be negative, got -1"),
        ({"model": "rlfn", "optimizer": {"weight_decay": -1}}, "weight_decay must not be negative"),
        ({"model": "rlfn", "optimizer": {"betas": [0.9]}}, r"betas must be two .*, got \(0\.9,\)"),
        (
            {"model": "rlfn", "optimizer": {"betas": [0.9, 1]}},
            r"betas must be two numbers of at le",
        ),
        (
            {"model": "rlfn", "losses": [{"name": "l1", "weight": -1}]},
            r"losses\[0\]\.weight must not be negative, got -1",
        ),
        (
            {"model": "rlfn", "losses": [{"name": "l1", "weight": float("nan")}]},
            r"losses\[0\]\.weight must not be negative, got nan",
        ),
        (
            {"model": "rlfn", "distillation": {"teacher": "rlfn", "weight": -0.1}},
            r"distillation\.weight must not be negative, got -0\.1",
        ),
        (
            {"model": "rlfn", "losses": [{"name": "l1", "weight": 0}]},
            "there is nothing to learn from: all weights of losses are 0",
        ),
        (
            {"model": "rlfn", "data": {"lr": ["a"], "degradations": [{"name": "bicubic"}]}},
            r"data\.lr and data\.degradations .* leave one of them out",
        ),
        ({"model": "rlfn", "losses": []}, "losses must have at least one entry"),
        ({"model": "rlfn", "precision": "float61"}, "Did you mean 'float16'"),
        ({"model": "rlfn", "optimizer": {"name": "adan"}}, r"optimizer\.name must be one of"),
        ({"model": "rlfn", "schedule": {"name": "cosin"}}, "Did you mean 'cosine'"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_sentence(record, message):
    with pytest.raises(OptionError, match=message):
        Recipe.from_mapping(record)


def test_a_warm_up_is_measured_by_the_stages_that_run_it():
    stages = [{"iterations": 100}, {"iterations": 200, "schedule.warmup": 0}]
    record = {"model": "rlfn", "iterations": 5, "schedule": {"warmup": 20}, "stages": stages}
    assert Recipe.from_mapping(record).schedule.warmup == 20


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(OptionError, match="There is no recipe"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("model = ")
    with pytest.raises(OptionError, match="cannot be read as a recipe"):
        read_recipe(tmp_path / "bad.toml")


def test_single_settings_are_changed_by_their_path():
    recipe = Recipe("rlfn").changed({"optimizer.clip_norm": 1, "distillation.teacher": "rlfn"})
    assert recipe.optimizer.clip_norm == 1.0
    assert recipe.distillation.teacher == "rlfn"
    with pytest.raises(OptionError, match=r"unknown key 'optimizer.clipnorm'"):
        recipe.changed({"optimizer.clipnorm": 1})
    with pytest.raises(OptionError, match="model is no table"):
        recipe.changed({"model.name": 1})


def test_a_table_changes_what_it_names_of_a_section():
    recipe = Recipe("rlfn").changed({"optimizer.name": "adamw", "arguments": {"channels": 8}})
    changed = recipe.changed(tomllib.loads("optimizer.lr = 2e-5\narguments.hidden = 4"))
    assert (changed.optimizer.name, changed.optimizer.lr) == ("adamw", 2e-5)
    assert changed.arguments == {"hidden": 4}  # of a network, which another one may not take
    with pytest.raises(OptionError, match=r"unknown key 'optimizer\.lrr'"):
        recipe.changed({"optimizer": {"lrr": 1}})
    with pytest.raises(OptionError, match="optimizer must be a table, got 3"):
        recipe.changed({"optimizer": 3})


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_name_what_exists(path):
    recipe = read_recipe(path.stem)
    assert path.read_text().startswith("# ")
    known = {entry.id for entry in load_manifest().entries}
    stages = [recipe.changed({**stage, "stages": []}) for stage in recipe.stages]
    for stage in (recipe, *stages):
        assert stage.scale in spec_of(stage.model).variants[stage.model].scales
        assert stage.start is None or stage.start in known
        assert stage.distillation is None or stage.distillation.teacher in known
        assert find_strategy(stage.strategy, stage.model)
        for loss in stage.losses:
            assert find_loss(loss.name)
        for degradation in stage.data.degradations:
            assert build_degradation(degradation.name, stage.scale, degradation.arguments)


def test_a_teacher_alone_is_enough_to_learn_from():
    losses = [{"name": "l1", "weight": 0}]
    recipe = {"model": "rlfn", "losses": losses, "distillation": {"teacher": "rlfn_x4.official"}}
    assert Recipe.from_mapping(recipe).losses[0].weight == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"iterations": 0}, "iterations must be positive, got 0"),
        ({"scale": "4"}, "scale must be of type int, got '4'"),
        ({"losses": (Loss("l1", weight=-1.0),)}, r"losses\[0\]\.weight must not be negative"),
        ({"stages": ({"scael": 2},)}, r"stages\[0\]: unknown key 'scael'"),
    ],
)
def test_a_recipe_made_in_python_is_checked_too(tmp_path, values, message):
    with pytest.raises(OptionError, match=message):
        train(Recipe("rlfn_s", **values), output=tmp_path / "run", quiet=True)
