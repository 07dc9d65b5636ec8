"""Where the time of a training run goes."""

from __future__ import annotations

import time
from collections import defaultdict

import torch


class Timer:
    """Adds up the time between marks by what was done in it.

    Attributes:
        seconds: What was done to its time.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def mark(self, done: str) -> None:
        """Count the time since the last mark as that of `done`."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[done] += now - self._last
        self._last = now

    def table(self, iterations: int) -> str:
        """Return milliseconds per iteration and shares as text."""
        total = sum(self.seconds.values())
        lines = [
            f"{name:<10} {1000 * seconds / iterations:9.1f} ms {seconds / total:6.1%}"
            for name, seconds in self.seconds.items()
        ]
        rate = iterations / total
        return "\n".join([*lines, f"{'in all':<10} {1000 / rate:9.1f} ms, {rate:.2f} batches/s"])
