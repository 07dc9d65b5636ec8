"""Put the network of finished training runs into the package, with recipe, log, curve and card.

``python benchmarks/embed_weights.py RUN... --data BSDS400 T91`` takes the network of the last run;
the runs before it are those that it started from, or what is kept of them in docs/weights. The
last one's state is kept too, for whoever trains on. Scores come from ``sr-zoo eval ID --data Set5
Set14 --update-manifest`` after that; ``python benchmarks/embed_weights.py --card ID`` writes the
card then.
"""

import argparse
import csv
import json
from pathlib import Path

from safetensors.torch import save_file

from sr_zoo import load_model
from sr_zoo.evaluation.complexity import count_complexity
from sr_zoo.training.curve import draw_curve
from sr_zoo.training.state import FILE as STATE
from sr_zoo.training.state import load_state, save_state
from sr_zoo.weights.cache import BUNDLED, sha256_of
from sr_zoo.weights.card import Facts, model_card
from sr_zoo.weights.manifest import load_manifest, manifest_path

DOCS = Path(__file__).parents[1] / "docs" / "weights"
LICENSE = "Apache-2.0"
TAG = "sr_zoo"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--data", nargs="+", default=[])
    parser.add_argument("--card", help="id of embedded weights whose card is to be written")
    options = parser.parse_args()
    if options.card:
        write_card(options.card)
    else:
        embed(options.runs, options.data)


def embed(runs: list[Path], data: list[str]) -> None:
    """Write weights, manifest entry and what the runs left."""
    network = load_model(runs[-1])
    name = f"{network.identity.name}_x{network.scale}"
    file = BUNDLED / f"{name}.safetensors"
    metadata = {
        "architecture": network.identity.name,
        "arguments": json.dumps(network.identity.arguments, sort_keys=True),
        "scale": str(network.scale),
        "license": LICENSE,
        "source": TAG,
    }
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file, metadata)
    seconds, iterations = 0.0, 0
    for number, run in enumerate(runs, 1):
        folder = DOCS / name / f"run_{number}"
        folder.mkdir(parents=True, exist_ok=True)
        state = load_state(run)  # kept of the last run only
        rows = read_log(run)
        if state:
            rows = [row for row in rows if int(row["iteration"]) <= state["iteration"]]
        iterations += int(rows[-1]["iteration"])
        seconds += float(rows[-1]["seconds"])
        with (folder / "log.csv").open("w", newline="") as log:
            writer = csv.DictWriter(log, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        draw_curve(rows, folder / "curve.png")
        recipe = portable(json.loads((run / "recipe.json").read_text()), number)
        (folder / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n")
        (folder / STATE).unlink(missing_ok=True)
    save_state({**state, "recipe": json.dumps(recipe)}, folder)
    complexity = count_complexity(network)
    entry = {
        "id": f"{name}.{TAG}",
        "model": network.identity.name,
        "scale": network.scale,
        "tag": TAG,
        "default": False,
        "source": {"kind": "bundled", "file": file.name},
        "sha256": sha256_of(file),
        "bytes": file.stat().st_size,
        "license": LICENSE,
        "layout": "ours",
        "num_params": complexity.num_params,
        "macs": complexity.macs,
        "trained_on": data,
        "note": f"{iterations} iterations in {seconds / 60:.0f} minutes on a shared CPU core, from "
        f"{first_start(runs[0])}",
    }
    keep(entry)
    print(f"{entry['id']}: now sr-zoo eval {entry['id']} --data Set5 Set14 --update-manifest")


def read_log(run: Path) -> list[dict[str, str]]:
    """Return the lines of a run's log."""
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def first_start(run: Path) -> str:
    """Say what the first run started from."""
    start = json.loads((run / "recipe.json").read_text()).get("start")
    return f"{start} as it was then" if start else "random weights"


def portable(recipe: dict, number: int) -> dict:
    """Return a recipe without the paths of the machine that it was followed on."""
    for key in ("train", "val"):
        recipe["data"][key] = [Path(path).name for path in recipe["data"][key]]
    if number > 1:
        recipe["start"] = f"run_{number - 1}"
    return recipe


def keep(entry: dict) -> None:
    """Write an entry into the manifest, in place of the one with its id or at its model's end."""
    path = manifest_path()
    content = json.loads(path.read_text(encoding="utf-8"))
    records = content["entries"]
    same = [i for i, record in enumerate(records) if record["id"] == entry["id"]]
    of_model = [i for i, record in enumerate(records) if record["model"] == entry["model"]]
    if same:
        entry["default"] = records[same[0]]["default"]
        records[same[0]] = entry
    else:
        here = [records[i] for i in of_model if records[i]["scale"] == entry["scale"]]
        entry["default"] = not any(record["default"] for record in here)
        records.insert(max(of_model, default=len(records) - 1) + 1, entry)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_card(weights: str) -> None:
    """Write the card of embedded weights, with what was measured."""
    entry = load_manifest().by_id(weights)
    network = load_model(weights)
    card = model_card(network.identity, Facts.of(entry), weights)
    card = card.replace("sr_zoo.create_model(", "sr_zoo.load_model(")  # it takes ids
    folder = DOCS / f"{entry.model}_x{entry.scale}"
    runs = sorted((run.name for run in folder.glob("run_*")), key=lambda name: (len(name), name))
    text = "\n\n".join(
        f"[Recipe]({run}/recipe.json), [log]({run}/log.csv):\n\n![Loss and PSNR]({run}/curve.png)"
        for run in runs
    )
    (folder / "README.md").write_text(f"{card}\n{entry.note}.\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
