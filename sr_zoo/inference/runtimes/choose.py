"""Which runtime runs a network."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sr_zoo.errors import OptionError, did_you_mean
from sr_zoo.inference.runtimes.eager import CompiledRunner, TorchRunner
from sr_zoo.inference.runtimes.runner import Guarded, Runner
from sr_zoo.network import SRNetwork

RUNTIMES = ("auto", "torch", "compile")


@dataclass(frozen=True)
class Choice:
    """What runs a network.

    Attributes:
        whole: Runs images in one piece.
        tiled: Runs tiles.
        reason: One sentence on what was chosen, and why.
    """

    whole: Runner
    tiled: Runner
    reason: str


def choose(network: SRNetwork, runtime: str, dtype: torch.dtype) -> Choice:
    """Make a network ready to run.

    Args:
        network: In evaluation mode, float32, on the device to use; kept, and laid out anew.
        runtime: One of `RUNTIMES`.
        dtype: Floating-point type to compute in.

    Raises:
        OptionError: There is no such runtime.
    """
    if runtime not in RUNTIMES:
        raise OptionError(
            f"Unknown runtime {runtime!r}.{did_you_mean(runtime, RUNTIMES)} "
            f"Runtimes: {', '.join(RUNTIMES)}"
        )
    exact = TorchRunner(network)
    runner: Runner = exact if dtype == torch.float32 else TorchRunner(network, dtype)
    reason = "as asked for"
    if runtime == "auto":
        reason = "needs no preparation"
    elif runtime == "compile":
        runner = CompiledRunner(network, dtype)
    if dtype != torch.float32:
        runner = Guarded(runner, exact, dtype)
    said = str(dtype).removeprefix("torch.")
    return Choice(runner, runner, f"{runner.name} in {said}: {reason}")
