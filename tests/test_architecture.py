"""The library keeps its own shape: who may import whom, and what stays cheap."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sr_zoo
from sr_zoo.registry import MODELS, family_of, spec_of, specs_of
from sr_zoo.spec import TAGS

PACKAGE = Path(sr_zoo.__file__).parent
MODEL_LINES = 350
BLOCK_LINES = 250

# what each part may import from, besides itself; "network", "spec" and the like are modules
ALLOWED = {
    "errors": set(),
    "atomic": {"errors"},
    "paths": {"errors"},
    "progress": set(),
    "network": {"blocks", "errors", "weights"},  # weights: saving, imported when it is called
    "spec": {"network"},
    "registry": {"errors", "spec"},
    "registration": {"errors", "network", "registry", "spec"},
    "heap": set(),
    "blocks": {"errors", "heap"},
    "dynamic": {"errors", "network"},
    "swin_network": {"blocks", "network"},
    "models": {"blocks", "dynamic", "errors", "network", "spec", "swin_network"},
    "imaging": {"atomic", "errors"},
    "fusion": {"blocks", "errors", "network"},
}


def imports(path: Path) -> set[str]:
    """Names of sr_zoo's modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sr_zoo."):
            found.add(node.module.removeprefix("sr_zoo."))
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {n.removeprefix("sr_zoo.") for n in names if n.startswith("sr_zoo.")}
    return found


def modules(part: str) -> list[Path]:
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


@pytest.mark.parametrize("part", ALLOWED)
def test_dependencies_point_down(part):
    for path in modules(part):
        others = {name.partition(".")[0] for name in imports(path)} - {part}
        assert others <= ALLOWED[part], f"{path.name} imports {others - ALLOWED[part]}"


def test_every_progress_bar_knows_when_to_be_hidden():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm":
                disable = [word.value for word in node.keywords if word.arg == "disable"]
                assert disable, f"{path.name}, line {node.lineno}: disable=unwatched()"


def test_no_model_imports_another_model():
    for path in modules("models"):
        assert not [name for name in imports(path) if name.startswith("models.")], path.name


def test_registry_names_exactly_the_variants_of_the_models():
    families = {path.stem for path in modules("models")} - {"__init__"}
    assert set(MODELS.values()) == families
    for family in families:
        registered = {name for name in MODELS if family_of(name) == family}
        named = [name for spec in specs_of(family) for name in spec.variants]
        assert sorted(registered) == sorted(named)
    assert list(MODELS) == sorted(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_tags_are_known(name):
    assert set(spec_of(name).tags) <= TAGS.keys()


@pytest.mark.parametrize("family", sorted(set(MODELS.values())))
def test_every_family_says_what_it_does_and_draws_its_block(family):
    """The documentation's page of a family is made from its docstring."""
    text = import_module(f"sr_zoo.models.{family}").__doc__
    head, _, diagram = text.partition("```mermaid\nflowchart LR\n")
    assert re.match(r"[\w+-]+: .+\.\n\n", text)
    assert head.count(". ") + head.count(".\n") >= 3
    assert diagram.partition("```")[0].count("-->") >= 2
    assert re.search("Paper: |no paper|Known by its title", text)


@pytest.mark.parametrize(("part", "limit"), [("models", MODEL_LINES), ("blocks", BLOCK_LINES)])
def test_files_hold_one_idea(part, limit):
    long = {p.name: len(p.read_text(encoding="utf-8").splitlines()) for p in modules(part)}
    assert {name: lines for name, lines in long.items() if lines > limit} == {}


def test_public_names_can_be_imported():
    for name in sr_zoo.__all__:
        assert getattr(sr_zoo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'upscael'"):
        sr_zoo.upscael  # noqa: B018


def test_importing_the_package_is_enough_to_reach_its_public_modules():
    code = (
        "import sr_zoo\n"
        "print(sr_zoo.visualize.effort.__name__, sr_zoo.evaluation.psnr_y.__name__)\n"
        "print(issubclass(sr_zoo.errors.DownloadError, sr_zoo.SRZooError))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["effort", "psnr_y", "True"]


def test_listing_models_loads_neither_torch_nor_timm():
    code = (
        "import sys, sr_zoo; sr_zoo.list_models(); sr_zoo.list_models(pretrained=True);"
        "print([m for m in ('torch', 'timm', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_of_the_command_line_loads_no_torch():
    code = (
        "import sys\nfrom sr_zoo.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "upscale" in done.stdout
    assert done.stdout.strip().endswith("False")
