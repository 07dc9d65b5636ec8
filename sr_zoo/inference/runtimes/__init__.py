"""What runs a network: PyTorch itself, or a program compiled from it."""

from sr_zoo.inference.runtimes.choice import RUNTIMES, Choice, choose
from sr_zoo.inference.runtimes.runner import Runner

__all__ = ["RUNTIMES", "Choice", "Runner", "choose"]
