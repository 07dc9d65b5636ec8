"""Measurements in a process of their own, and the memory that such a process holds."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ALONE = "--alone"  # what a script is called with in such a process, before its arguments
# a freed tensor goes back to the system at once, so that the peak is that of what is in use; that
# takes time
RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 20)}


def environment_of(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with other settings, and the C library's only if named."""
    usual = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    return usual | settings


def ask(script: str, *arguments: str, settings: Mapping[str, str]) -> Any:
    """Run a script alone, to its end; return what it printed, which is JSON."""
    done = subprocess.run(
        [sys.executable, script, ALONE, *arguments],
        env=environment_of(settings),
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def resident() -> int:
    """Return the bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def forget_peak() -> None:
    """Let the peak start again."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_resident() -> int:
    """Return the most bytes that the process held since its peak was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
