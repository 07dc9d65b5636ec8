"""Images and weights that are not part of the repository; tests that need them skip without."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("SR_ZOO_SHARED", Path(__file__).parents[2] / "shared"))


def shared(*parts: str) -> Path:
    """Return a path in the shared folder; skip the test, or the module, where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent (SR_ZOO_SHARED names its folder)", allow_module_level=True)
    return path
