"""How fast networks are side by side: every runtime and type on the same images, in turns.

A machine that does other work disturbs a contender that runs alone; contenders that take turns are
disturbed alike. Medians of many short turns are compared, in time that passed and in time that the
processor spent.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import median, quantiles
from time import sleep
from typing import Any

import torch
from torch import Tensor

from sr_zoo import __version__
from sr_zoo.errors import OptionError
from sr_zoo.evaluation.complexity import count_complexity
from sr_zoo.inference.runtimes import choose
from sr_zoo.inference.runtimes.choice import SPEEDS
from sr_zoo.inference.runtimes.onednn import apply_linear
from sr_zoo.inference.runtimes.precision import pick_dtype
from sr_zoo.inference.runtimes.prepared import PREPARED
from sr_zoo.inference.timing import Timed, timed
from sr_zoo.network import SRNetwork, device_of

CEILING_SIDE = 1024  # of the matrices whose product shows what the processor can do
REST = 0.03  # seconds before each turn: threads of the contender before go on spinning for a while


@dataclass(frozen=True)
class Contender:
    """What takes part.

    Attributes:
        label: Tells it from the others in a table.
        model: Name in the registry, or of whose code it is.
        scale: Upscaling factor.
        runtime: What runs it.
        dtype: Floating-point type it computes in.
        run: Enlarges (1, 3, H, W).
        network: To count its cost; None where that is not known.
        settle: Called with the image before the first turn; None to call `run`.
        timed: Calls `run` for a turn; another where it computes in another process.
    """

    label: str
    model: str
    scale: int
    runtime: str
    dtype: str
    run: Callable[[Tensor], Tensor]
    network: SRNetwork | None = None
    settle: Callable[[Tensor], object] | None = None
    timed: Callable[[Callable[[Tensor], Tensor], Tensor], Timed[Tensor]] = timed


@dataclass(frozen=True)
class Timing:
    """How fast a contender was.

    Attributes:
        label: Of the contender.
        model: Of the contender.
        scale: Of the contender.
        runtime: Of the contender.
        dtype: Of the contender.
        width: Of the input, in LR pixels.
        height: Of the input, in LR pixels.
        seconds: That passed, median.
        spread: Between the quartiles of the seconds that passed.
        cpu_seconds: That all threads together computed, median.
        macs: Multiply-adds; None if not known.
        peak_memory: Bytes of features alive at once in PyTorch, counted; None if not known.
        ceiling: Share of the multiply-adds that the processor manages in a product of float32
            matrices in the same time; None if not known.
    """

    label: str
    model: str
    scale: int
    runtime: str
    dtype: str
    width: int
    height: int
    seconds: float
    spread: float
    cpu_seconds: float
    macs: int | None
    peak_memory: int | None
    ceiling: float | None


def contender(
    network: SRNetwork, runtime: str = "torch", dtype: torch.dtype | str | None = None
) -> Contender:
    """Make a network of the registry a contender.

    Args:
        network: Fused, in evaluation mode.
        runtime: As for `Upscaler`.
        dtype: As for `Upscaler`.

    Raises:
        OptionError: The runtime or the type is not there, or the network was built by hand.
    """
    if network.identity is None:
        raise OptionError("A network built by hand has no name; build it with create_model")
    device = device_of(network)
    chosen = pick_dtype(dtype, network, device, runtime)
    runner = choose(network, runtime, chosen).whole
    name, kind = network.identity.name, str(chosen).removeprefix("torch.")
    label = f"{name} x{network.scale}, {runner.name}, {kind}"
    return Contender(label, name, network.scale, runner.name, kind, runner, network, runner.settle)


def race(
    contenders: Sequence[Contender],
    sizes: Sequence[tuple[int, int]],
    *,
    rounds: int = 5,
    advance: Callable[[], object] = lambda: None,
) -> list[Timing]:
    """Time contenders in turns.

    Args:
        contenders: Each settles before, which does not count.
        sizes: Width and height of the inputs in LR pixels.
        rounds: How often each takes its turn.
        advance: Called after each round.

    Returns:
        One timing per size and contender, in their order.
    """
    square = torch.rand(CEILING_SIDE, CEILING_SIDE)
    timings = []
    for width, height in sizes:
        image = torch.rand(1, 3, height, width)
        turns: list[list[tuple[float, float]]] = [[] for _ in contenders]
        ceilings = []
        with torch.inference_mode():
            for each in contenders:
                (each.settle or each.run)(image)
            for _ in range(rounds):
                for kept, each in zip(turns, contenders, strict=True):
                    sleep(REST)
                    turn = each.timed(each.run, image)
                    kept.append((turn.seconds, turn.cpu_seconds))
                sleep(REST)
                ceilings.append(CEILING_SIDE**3 / _fastest_product(square))
                advance()
        timings += [
            _timing(each, (width, height), kept, median(ceilings))
            for each, kept in zip(contenders, turns, strict=True)
        ]
    return timings


def _fastest_product(square: Tensor) -> float:
    """Return the seconds of a matrix product by whichever of torch's libraries is the faster.

    MKL, which torch.mm takes, reaches half of what oneDNN does on processors not of Intel's.
    """
    return min(timed(each, square, square).cpu_seconds for each in (torch.mm, apply_linear))


def _timing(
    each: Contender, size: tuple[int, int], turns: list[tuple[float, float]], ceiling: float
) -> Timing:
    passed, computed = (list(values) for values in zip(*turns, strict=True))
    low, _, high = quantiles(passed, n=4) if len(passed) > 1 else (0.0, 0.0, 0.0)
    macs = peak = share = None
    if each.network is not None:
        cost = count_complexity(each.network, (size[1] * each.scale, size[0] * each.scale))
        macs, peak = cost.macs, cost.peak_memory
        share = macs / median(computed) / ceiling
    return Timing(
        *(each.label, each.model, each.scale, each.runtime, each.dtype),
        *size,
        seconds=median(passed),
        spread=high - low,
        cpu_seconds=median(computed),
        macs=macs,
        peak_memory=peak,
        ceiling=share,
    )


def machine() -> dict[str, Any]:
    """Describe what a race ran on."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    known = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")
    return {
        "processor": capabilities.get("cpu_name") or platform.processor() or platform.machine(),
        "instructions": [name for name in known if capabilities.get(name)],
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sr_zoo": __version__,
    }


def machine_line() -> str:
    """Describe what a race ran on, in one line."""
    facts = machine()
    instructions = ", ".join(facts["instructions"]) or "no vector instructions known"
    return (
        f"{facts['processor']} ({instructions}), threads: {facts['threads']}; "
        f"{facts['system']}, Python {facts['python']}, torch {facts['torch']}, "
        f"sr_zoo {facts['sr_zoo']}"
    )


def table(timings: Sequence[Timing], baseline: str) -> str:
    """Return a markdown table; ratios, by what the processor computed, come first.

    Args:
        timings: Of one race.
        baseline: Label of the contender that the ratios are to; it is the first of a scale and size
            if no contender has that label there.
    """
    lines = [
        "| | faster than the first | CPU time | time passed (between quartiles) | of ceiling |",
        "|---|---|---|---|---|",
    ]
    for rows in by_image(timings):
        base = next((t for t in rows if t.label == baseline), rows[0])
        lines += [_row(t, base) for t in rows]
    return "\n".join(lines)


def _row(timing: Timing, base: Timing) -> str:
    share = "-" if timing.ceiling is None else f"{timing.ceiling:.0%}"
    return (
        f"| {timing.label}, {timing.width}x{timing.height} "
        f"| {base.cpu_seconds / timing.cpu_seconds:.2f} "
        f"| {timing.cpu_seconds * 1e3:.0f} ms "
        f"| {timing.seconds * 1e3:.0f} ({timing.spread * 1e3:.0f}) ms | {share} |"
    )


def update_speeds(timings: Sequence[Timing]) -> None:
    """Write how prepared runtimes compare with PyTorch where ``runtime="auto"`` looks, by type.

    Of several scales and sizes, the one at which a runtime gains least counts.
    """
    ratios: dict[tuple[str, str, str], float] = {}
    for base, timing in product(timings, timings):
        compared = base.runtime == "torch" and timing.runtime in PREPARED
        if compared and _task(base) == _task(timing):
            key = (timing.model, timing.dtype, timing.runtime)
            ratio = round(base.cpu_seconds / timing.cpu_seconds, 2)
            ratios[key] = min(ratio, ratios.get(key, ratio))
    speeds = json.loads(SPEEDS.read_text(encoding="utf-8"))
    for (model, dtype, runtime), ratio in ratios.items():
        speeds.setdefault(model, {}).setdefault(dtype, {})[runtime] = ratio
    text = json.dumps(dict(sorted(speeds.items())), indent=1)
    SPEEDS.write_text(text + "\n", encoding="utf-8")


def _task(timing: Timing) -> tuple[object, ...]:
    """Return what only timings that can be compared have in common."""
    return timing.model, timing.dtype, *_image(timing)


def by_image(timings: Sequence[Timing]) -> list[list[Timing]]:
    """Part timings by what they do: the factor, and the size of the input."""
    return [
        [timing for timing in timings if _image(timing) == image]
        for image in dict.fromkeys(map(_image, timings))
    ]


def _image(timing: Timing) -> tuple[int, int, int]:
    return timing.scale, timing.width, timing.height


def as_json(timings: Sequence[Timing]) -> dict[str, Any]:
    """Return a race as `sr_zoo.recommend` reads it."""
    return {"machine": machine(), "timings": [asdict(timing) for timing in timings]}
