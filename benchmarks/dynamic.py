"""What dynamic networks win: quality against time at five budgets, beside their static bases.

``python benchmarks/dynamic.py DATA PHOTO`` measures all systems on DATA/Set14 and on one large
photograph, writes docs/measured/dynamic.json, dynamic.md and dynamic_verdicts.md, and draws
docs/dynamic.svg. Called again, it measures what is missing in dynamic.json.
``--full-size`` compares the full mode with half of its multiply-adds on a 1280x720 input instead
(``--input-size`` for another),
side by side, into docs/measured/dynamic_half.md; ``--draw`` draws anew what was measured.
Times are CPU seconds of one thread: wall-clock time, but for what else the machine does.
The authors' weights must be on this machine (``sr-zoo weights fetch``).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import sr_zoo
from sr_zoo.dynamic import Budget, DynamicNetwork
from sr_zoo.evaluation.datasets import open_folder
from sr_zoo.evaluation.metrics import psnr_y
from sr_zoo.evaluation.resize import imresize

MEASURED = Path(__file__).parents[1] / "docs" / "measured"
FILE = MEASURED / "dynamic.json"
# system, scale, its static base; SMSR has none of its own with public weights
SYSTEMS = (
    ("arm_fsrcnn", 4, "fsrcnn_pcsr"),
    ("pcsr_fsrcnn", 4, "fsrcnn_pcsr"),
    ("arm_carn", 4, "carn_m"),
    ("pcsr_carn", 4, "carn_m_pcsr"),
    ("smsr", 2, "carn_m"),
)
PLACES = ("Set14", "photograph")
NUM_BUDGETS = 5
EQUAL = 0.01  # dB within which two networks are as good as each other
SEED = 0


def pairs_of_set(folder: Path, scale: int) -> list[tuple[Tensor, Tensor]]:
    """Return LR and HR images of a set."""
    read = (sample.read() for sample in open_folder(folder, scale).samples)
    return [(to_tensor(lr), to_tensor(hr)) for lr, hr in read]


def to_tensor(pixels: np.ndarray[Any, Any]) -> Tensor:
    """Return uint8 (H, W, 3) as (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


def pair_of_photo(file: Path, scale: int) -> tuple[Tensor, Tensor]:
    """Return a photograph, reduced and as it is, its sides cut to a multiple of the scale."""
    hr = to_tensor(np.asarray(Image.open(file).convert("RGB")))
    height, width = (side // scale * scale for side in hr.shape[-2:])
    hr = hr[..., :height, :width]
    return imresize(hr, size=(height // scale, width // scale)).clamp(0, 1), hr


@torch.inference_mode()
def run(
    modes: list[tuple[Any, Budget | None]], pairs: list[tuple[Tensor, Tensor]]
) -> list[dict[str, float]]:
    """Return PSNR, seconds and share of multiply-adds of every mode over images.

    Modes take turns on each image, so that what else the machine does falls on all of them.
    """
    found = [{"psnr": 0.0, "seconds": 0.0, "macs": 0.0, "full": 0.0} for _ in modes]
    for network, budget in modes:  # warm up
        spend(network, pairs[0][0][..., :64, :64], budget)
    for lr, hr in pairs:
        for row, (network, budget) in zip(found, modes, strict=True):
            start = time.process_time()
            out, macs, full = spend(network, lr, budget)
            row["seconds"] += time.process_time() - start
            row["psnr"] += psnr_y(out[0].clamp(0, 1), hr[0], shave=network.scale) / len(pairs)
            row["macs"] += macs
            row["full"] += full
    return [
        {"psnr": r["psnr"], "seconds": r["seconds"], "share": r["macs"] / r["full"]} for r in found
    ]


def spend(network: Any, lr: Tensor, budget: Budget | None) -> tuple[Tensor, float, float]:
    """Return output, multiply-adds and those of the full mode; alike for a static network."""
    if budget is None:
        return network(lr), 1.0, 1.0
    effort = network.spend(lr, budget)
    return effort.output, effort.macs, effort.full_macs


def budgets_of(network: DynamicNetwork, pairs: list[tuple[Tensor, Tensor]]) -> list[float]:
    """Return five shares between the cheapest mode and the full one."""
    cheapest = max(low / full for low, full in (network.costs(*lr.shape[-2:]) for lr, _ in pairs))
    lowest = max(cheapest * 1.001, 0.1)
    return [lowest + (1 - lowest) * i / (NUM_BUDGETS - 1) for i in range(NUM_BUDGETS)]


def measure(data: Path, photo: Path) -> list[dict[str, Any]]:
    """Measure every system at its budgets and as it decides itself, and its static base.

    A panel that dynamic.json holds in full is kept, so that a stopped run goes on.
    """
    rows: list[dict[str, Any]] = []
    if FILE.exists():
        rows = json.loads(FILE.read_text(encoding="utf-8"))
    for name, scale, base in SYSTEMS:
        network, static = (sr_zoo.create_model(model, scale) for model in (name, base))
        if not isinstance(network, DynamicNetwork):
            raise TypeError(f"{name} is no dynamic network")
        for where in PLACES:
            held = [row for row in rows if (row["system"], row["on"]) == (name, where)]
            if len(held) == NUM_BUDGETS + 2:
                continue
            rows = [row for row in rows if row not in held]
            pairs = (
                pairs_of_set(data / "Set14", scale)
                if where == "Set14"
                else [pair_of_photo(photo, scale)]
            )
            shares = [Budget("share", share) for share in budgets_of(network, pairs)]
            kinds = ["static", *["budget"] * NUM_BUDGETS, "auto"]
            models = [base, *[name] * (NUM_BUDGETS + 1)]
            modes = [(static, None), *((network, b) for b in (*shares, Budget("auto")))]
            for kind, model, found in zip(kinds, models, run(modes, pairs), strict=True):
                rows.append({"system": name, "on": where, "kind": kind, "model": model, **found})
                print(rows[-1], flush=True)
            order = [system for system, _, _ in SYSTEMS]
            rows.sort(key=lambda row: (order.index(row["system"]), PLACES.index(row["on"])))
            FILE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the measured points as markdown."""
    lines = [
        "| system | on | mode | multiply-adds of the full mode | time (s) | PSNR (dB) |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        mode = f"`{row['model']}`" if row["kind"] == "static" else row["kind"]
        share = "static base" if row["kind"] == "static" else f"{row['share']:.0%}"
        cells = (f"`{row['system']}`", row["on"], mode, share, f"{row['seconds']:.2f}")
        lines.append(f"| {' | '.join(cells)} | {row['psnr']:.2f} |")
    return "\n".join(lines) + "\n"


def verdicts(rows: list[dict[str, Any]]) -> str:
    """Return as markdown what each system takes to be as good as its static base."""
    lines = [
        "| system | on | PSNR of the static base | reached in | so it is |",
        "|---|---|---|---|---|",
    ]
    for base in (row for row in rows if row["kind"] == "static"):
        place = (base["system"], base["on"])
        points = [r for r in rows if (r["system"], r["on"]) == place and r is not base]
        best = max(points, key=lambda row: row["psnr"])
        reaching = [row for row in points if row["psnr"] >= base["psnr"] - EQUAL]
        if reaching:
            factor = min(row["seconds"] for row in reaching) / base["seconds"]
            reached, verdict = f"{factor:.2f}", "slower" if factor > 1 else "faster"
        else:
            lacking = base["psnr"] - best["psnr"]
            factor = best["seconds"] / base["seconds"]
            reached = f"never; {lacking:.2f} dB less in {factor:.2f}"
            verdict = "worse and slower" if factor > 1 else "worse, but faster"
        lines.append(
            f"| `{place[0]}` | {place[1]} | {base['psnr']:.2f} dB | {reached} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw PSNR against time, one panel per system and picture set."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "sr_zoo"
    from matplotlib import pyplot as plt

    places = list(dict.fromkeys(row["on"] for row in rows))
    systems = list(dict.fromkeys(row["system"] for row in rows))
    figure, axes = plt.subplots(
        len(systems),
        len(places),
        figsize=(9, 2.6 * len(systems)),
        squeeze=False,
        layout="constrained",
    )
    figure.get_layout_engine().set(h_pad=0.1)
    for line, system in zip(axes, systems, strict=True):
        for axis, place in zip(line, places, strict=True):
            mine = [row for row in rows if (row["system"], row["on"]) == (system, place)]
            curve = [row for row in mine if row["kind"] == "budget"]
            axis.set_visible(bool(mine))
            axis.plot([r["seconds"] for r in curve], [r["psnr"] for r in curve], "o-", label=system)
            for kind, marker in (("auto", "C1*"), ("static", "C2s")):
                for row in (row for row in mine if row["kind"] == kind):
                    label = "as it decides itself" if kind == "auto" else f"{row['model']} (static)"
                    axis.plot(row["seconds"], row["psnr"], marker, markersize=9, label=label)
            axis.set_title(f"{system}, {place}", fontsize=9)
            axis.margins(0.08)
            axis.set_xlim(left=0)
            axis.set_xlabel("seconds, one thread")
            axis.set_ylabel("PSNR (dB)")
            axis.grid(alpha=0.3)
            axis.legend(fontsize=7, loc="lower right")
    figure.savefig(MEASURED.parent / "dynamic.svg", metadata={"Date": None})


@torch.inference_mode()
def halves(photo: Path, width: int, height: int) -> str:
    """Compare the full mode with half of it on one input size; return a markdown table."""
    lines = [
        f"Input of {width}x{height} pixels, CPU seconds of one thread:\n",
        "| system | full mode (s) | half of the multiply-adds (s) | time saved |",
        "|---|---|---|---|",
    ]
    image = to_tensor(np.asarray(Image.open(photo).convert("RGB").resize((width, height))))
    for name, scale in (("arm_carn", 4), ("smsr", 2)):
        network = sr_zoo.create_model(name, scale)
        upscalers = [sr_zoo.Upscaler(network, budget=share, tile=320) for share in (1.0, 0.5)]
        for upscaler in upscalers:
            upscaler.tensor(image[..., :64, :64])
        times = []
        for upscaler in upscalers:
            start = time.process_time()
            upscaler.tensor(image)
            times.append(time.process_time() - start)
        full, half = times
        lines.append(f"| `{name}` x{scale} | {full:.1f} | {half:.1f} | {1 - half / full:.0%} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="Folder that holds Set14.")
    parser.add_argument("photo", type=Path, nargs="?", help="A large photograph.")
    parser.add_argument("--full-size", action="store_true")
    parser.add_argument("--input-size", default="1280x720", help="Of --full-size.")
    parser.add_argument("--draw", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    if arguments.full_size:
        (MEASURED / "dynamic_half.md").write_text(
            halves(arguments.photo, *map(int, arguments.input_size.split("x"))), encoding="utf-8"
        )
        return
    if not arguments.draw:
        measure(arguments.data, arguments.photo)
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    (MEASURED / "dynamic.md").write_text(table(rows), encoding="utf-8")
    (MEASURED / "dynamic_verdicts.md").write_text(verdicts(rows), encoding="utf-8")
    draw(rows)


if __name__ == "__main__":
    main()
