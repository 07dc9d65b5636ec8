import os

import pytest
import torch
from torch.nn import functional as F

torch.set_num_threads(1)  # tests run side by side, one process per core
os.environ["OMP_NUM_THREADS"] = "1"  # so do the processes they start: threads change last bits


@pytest.fixture
def leaky(monkeypatch):
    """Let no ReLU be dead: whether one is, depends on random weights and not on the graph."""

    def passing(x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x, 0.5)

    monkeypatch.setattr(torch, "relu", passing)
    monkeypatch.setattr(torch.nn.ReLU, "forward", lambda _module, x: passing(x))


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    """Let torch have one, two and three threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
