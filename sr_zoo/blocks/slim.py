"""Layers of a supernet: the first channels of a layer are a narrower layer of its own."""

from torch import Tensor, nn
from torch.nn import functional as F


class SlimConv2d(nn.Conv2d):
    """A convolution that runs as one of a narrower network, on the first of its filters.

    It holds the weights of the full width. Numbers of channels that are multiples of `full` shrink
    in proportion; others, such as the three of RGB, stay. With groups, filters keep their order, so
    which group a filter belongs to changes with the width. Sources: Yu et al., Slimmable Neural
    Networks, ICLR 2019; Chen et al., ARM, ECCV 2022.

    Shape: (N, in_channels * width / full, H, W) to the same with the outputs, H and W as padding
    and kernel size leave them.

    Args:
        in_channels: Width of the input in the full network.
        out_channels: Width of the output in the full network.
        kernel_size: Of the kernel, a square.
        width: Feature width of the network that runs.
        full: Feature width of the network that holds the weights.
        padding: Pixels of zeros around the input.
        groups: As for `nn.Conv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        width: int,
        full: int,
        padding: int = 0,
        groups: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=padding, groups=groups)
        self.inputs = slimmed(in_channels, width, full) // groups
        self.outputs = slimmed(out_channels, width, full)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight[: self.outputs, : self.inputs]
        bias = None if self.bias is None else self.bias[: self.outputs]
        return F.conv2d(x, weight, bias, padding=self.padding, groups=self.groups)


def slimmed(channels: int, width: int, full: int) -> int:
    """Return how many of a layer's channels run at a width; all of those that do not shrink."""
    return channels * width // full if channels % full == 0 else channels
