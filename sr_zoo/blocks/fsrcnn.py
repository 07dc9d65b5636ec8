"""The layers of FSRCNN at LR size."""

from collections.abc import Callable

from torch import Tensor, nn


class FSRCNNTrunk(nn.Module):
    """FSRCNN up to its upsampler, with one slope per activation and none between mapping layers.

    Source: Dong et al., ECCV 2016; this form is that of ClassSR (Kong et al., CVPR 2021) and of
    ARM and PCSR after it.

    Shape: (N, 3, H, W) to (N, channels, H, W).

    Args:
        channels: Feature width.
        hidden: Width of the mapping layers.
        num_layers: Mapping layers.
        conv: Builds the convolutions around the mapping layers; called like `nn.Conv2d`.
    """

    def __init__(
        self,
        channels: int,
        hidden: int = 12,
        num_layers: int = 4,
        *,
        conv: Callable[..., nn.Module] = nn.Conv2d,
    ) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(3, channels, 5, padding=2), nn.PReLU())
        squeeze = nn.Sequential(conv(channels, hidden, 1), nn.PReLU())
        mapping = [nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(num_layers)]
        expand = nn.Sequential(conv(hidden, channels, 1), nn.PReLU())
        self.body = nn.Sequential(squeeze, *mapping, nn.PReLU(), expand)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.head(x))
