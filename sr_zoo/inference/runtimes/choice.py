"""Which runtime runs a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from sr_zoo.errors import ExportError, OptionError, did_you_mean
from sr_zoo.inference.alone import tiles_alone
from sr_zoo.inference.runtimes.eager import CompiledRunner, TorchRunner
from sr_zoo.inference.runtimes.exported import ExportedNetwork, ExportedRunner
from sr_zoo.inference.runtimes.prepared import (
    PREPARED,
    PreparedRunner,
    is_there,
    missing,
    prepared_file,
)
from sr_zoo.inference.runtimes.runner import Guarded, Runner
from sr_zoo.network import SRNetwork, device_of, weight_of

RUNTIMES = ("auto", "torch", "compile", *PREPARED)
SPEEDS = Path(__file__).with_name("speeds.json")  # `sr-zoo bench --update-speeds` writes it
WORTH_IT = 1.1  # times as fast; less is within the noise of the measurement


@dataclass(frozen=True)
class Choice:
    """What runs a network.

    Attributes:
        whole: Runs images in one piece.
        tiled: Runs tiles.
        float32: Runs what the others would round or overflow at; one of them where they do not.
        reason: One sentence on what was chosen, and why.
        exact: Whether tiles come out as in one piece, or as close as averages gathered over the
            whole image bring them.
    """

    whole: Runner
    tiled: Runner
    float32: Runner
    reason: str
    exact: bool = True

    @property
    def in_float32(self) -> Choice:
        """What runs images that the type would round."""
        reason = "torch in float32: lower types round pixels of more than 8 bits"
        return Choice(self.float32, self.float32, self.float32, reason)


def choose(network: SRNetwork, runtime: str, dtype: torch.dtype) -> Choice:
    """Make a network ready to run.

    ``"auto"`` takes PyTorch unless another runtime was measured to be faster for this model and is
    ready on this machine: nobody waits for a compiler who did not ask for one. Tiles that have to
    know the whole image stay with PyTorch then.

    Args:
        network: In evaluation mode, on the device to use; kept, and laid out anew.
        runtime: One of `RUNTIMES`.
        dtype: Floating-point type to compute in.

    Raises:
        OptionError: There is no such runtime, it misses a package, or does not fit device or type.
        ExportError: The network cannot be exported for the runtime.
        FileWriteError: The cache, which exported networks are kept in, cannot be written to.
    """
    if isinstance(network, ExportedNetwork):
        return _exported(network, runtime, dtype)
    if runtime not in RUNTIMES:
        raise OptionError(
            f"Unknown runtime {runtime!r}.{did_you_mean(runtime, RUNTIMES)} "
            f"Runtimes: {', '.join(RUNTIMES)}"
        )
    name, reason = (runtime, "as asked for") if runtime != "auto" else _pick(network, dtype)
    float32 = TorchRunner(network, torch.float32)
    plain = float32 if dtype == torch.float32 else TorchRunner(network, dtype)
    eager = _guarded(plain, float32, dtype)
    runner = eager
    try:
        if name != "torch":
            built = _build(name, network, dtype, prepare=runtime != "auto")
            runner = _guarded(built, float32, dtype)
    except ExportError:
        if runtime != "auto":
            raise
        reason = f"{reason}, but what was prepared is damaged; --runtime {name} prepares it again"
        name = "torch"
    exact = runner.sees_views or tiles_alone(network)
    tiled = eager if runtime == "auto" and not exact else runner
    said = str(dtype).removeprefix("torch.")
    sentence = f"{name} in {said}: {reason}"
    return Choice(runner, tiled, float32, sentence, exact or tiled.sees_views)


def _exported(network: ExportedNetwork, runtime: str, dtype: torch.dtype) -> Choice:
    file, engine = network.path.name, network.engine
    if runtime not in ("auto", engine):
        raise OptionError(f"{file} is run by {engine}, not by {runtime}; use runtime='auto'")
    if dtype != torch.float32 or not network.digest.is_cpu:
        raise OptionError(f"{file} runs in float32 on the CPU; leave dtype and device at 'auto'")
    runner = ExportedRunner(network)
    reason = f"{engine} in float32: it runs such files"
    return Choice(runner, runner, runner, reason, network.facts.local)


def _build(name: str, network: SRNetwork, dtype: torch.dtype, *, prepare: bool) -> Runner:
    if name == "compile":
        return CompiledRunner(network, dtype)
    if not _on_cpu(network):
        raise OptionError(f"The runtime {name!r} runs on the CPU; use device='cpu'")
    return PreparedRunner(name, network, dtype, prepare=prepare)


def _guarded(runner: Runner, float32: Runner, dtype: torch.dtype) -> Runner:
    return runner if dtype == torch.float32 else Guarded(runner, float32, dtype)


def _pick(network: SRNetwork, dtype: torch.dtype) -> tuple[str, str]:
    """Return the runtime that ``"auto"`` stands for, and why."""
    if not _on_cpu(network) or weight_of(network).dtype != torch.float32:
        return "torch", "other runtimes are taken by themselves for float32 weights on the CPU only"
    measured = measured_speeds().get(network.identity.name, {}) if network.identity else {}
    speeds = measured.get(str(dtype).removeprefix("torch."), {})
    fastest = max(speeds, key=lambda name: speeds[name], default="torch")
    if speeds.get(fastest, 0) < WORTH_IT:
        return "torch", "no other runtime was measured to be faster for this model"
    gain = f"{fastest} was measured to be {speeds[fastest]:.1f} times as fast"
    if absent := missing(fastest):
        return "torch", f"{gain}, but needs {', '.join(absent)}: pip install 'sr_zoo[runtime]'"
    if not is_there(prepared_file(fastest, network)):
        return "torch", f"{gain}; --runtime {fastest} prepares it for this network, once"
    return fastest, gain


@cache
def measured_speeds() -> dict[str, dict[str, dict[str, float]]]:
    """Return how many times as fast as torch other runtimes were: by model, type and runtime."""
    table: dict[str, dict[str, dict[str, float]]] = json.loads(SPEEDS.read_text(encoding="utf-8"))
    return table


def _on_cpu(network: SRNetwork) -> bool:
    return device_of(network).type == "cpu"
