"""Whether anybody would see a progress bar."""

from __future__ import annotations

import sys


def unwatched() -> bool:
    """Whether standard error is read by nobody at once: a file, a pipe, a service's log.

    There each step of a bar would be text that stays. tqdm's own ``disable=None`` would take a
    notebook, whose streams are no terminals, for one of these.
    """
    in_notebook = type(sys.stderr).__module__.startswith("ipykernel.")
    return not (in_notebook or (sys.stderr is not None and sys.stderr.isatty()))
