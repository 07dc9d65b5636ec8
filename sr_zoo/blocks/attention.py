"""Attention gates on feature maps; every block keeps its input's shape, (N, C, H, W)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sr_zoo.blocks.global_statistics import global_mean, global_variance
from sr_zoo.blocks.resized import ResizedMap
from sr_zoo.blocks.strips import in_strips, is_traced


class CALayer(nn.Module):
    """Channel attention: gates each channel by its average over the whole image.

    Source: Zhang et al., RCAN, ECCV 2018, section 3.3.

    Shape: (N, channels, H, W) to the same; any H, W >= 1.

    Args:
        channels: Width of the input and of the output.
        reduced: Width inside the gate; ``channels // 16`` in RCAN.
        stride: LR pixels per cell of the input.

    Raises:
        ValueError: `reduced` is smaller than 1.
    """

    def __init__(self, channels: int, reduced: int, *, stride: int = 1) -> None:
        if reduced < 1:
            raise ValueError(f"reduced must be at least 1, got {reduced}")
        super().__init__()
        self.stride = stride
        self.squeeze = nn.Conv2d(channels, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(torch.relu(self.squeeze(self.statistic(x))))
        return x * torch.sigmoid(gate)

    def statistic(self, x: Tensor) -> Tensor:
        """Describe each channel by one number: (N, C, H, W) to (N, C, 1, 1)."""
        return global_mean(x, stride=self.stride)


class ContrastAwareCALayer(CALayer):
    """Channel attention by contrast: standard deviation plus average instead of the average alone.

    Source: Hui et al., IMDN, ACM MM 2019, section 3.3 (CCA). The deviation is that of the whole
    population, without an epsilon.

    Shape: (N, channels, H, W) to the same; any H, W >= 1.
    """

    def statistic(self, x: Tensor) -> Tensor:
        variance = global_variance(x, stride=self.stride)
        # a flat channel has no gradient at the root of zero; the smallest number has one of zero
        return variance.clamp(min=torch.finfo(x.dtype).tiny).sqrt() + global_mean(
            x, stride=self.stride
        )


class PixelAttention(nn.Module):
    """Gates every value by a 1x1 convolution of its pixel.

    Source: Zhao et al., PAN, ECCVW 2020, section 3.2 (PA).

    Shape: (N, channels, H, W) to the same; any H, W >= 1.

    Args:
        channels: Width of the input and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate(x))


class ESA(nn.Module):
    """Enhanced spatial attention: gates each pixel by what a wide, strongly pooled view says of it.

    Sources: Liu et al., RFANet, CVPR 2020; the layer sizes are those of RFDN (Liu et al., 2020).
    RLFN (Kong et al., 2022) keeps one pooled convolution of the three; BSRN swaps `conv` and `act`.

    Shape: (N, channels, H, W) to the same; H, W >= `ESA.WINDOW` (a 7x7 pool after a stride of 2).

    Args:
        channels: Width of the input and of the output.
        reduced: Width inside the gate; a quarter of `channels` in RFDN, 16 in RLFN.
        num_convs: 3x3 convolutions on the pooled map, `act` between them but not after the last.
        act: Builds one activation; ReLU in RFDN, GELU in BSRN.
        conv: Builds every 3x3 convolution; called like `nn.Conv2d`.
        multiple: What the network pads the picture's sides to a multiple of.

    Raises:
        ValueError: `reduced` or `num_convs` is smaller than 1; or, when it is called, the map is
            smaller than `ESA.WINDOW`.
    """

    WINDOW = 15  # pixels that one pooled cell sees: 3 at stride 2, then 7 of those
    STRIDE = 6

    def __init__(
        self,
        channels: int,
        reduced: int,
        *,
        num_convs: int = 3,
        act: Callable[[], nn.Module] = nn.ReLU,
        conv: Callable[..., nn.Module] = nn.Conv2d,
        multiple: int = 1,
    ) -> None:
        if reduced < 1 or num_convs < 1:
            raise ValueError(
                f"reduced and num_convs must be at least 1, got {reduced} and {num_convs}"
            )
        super().__init__()
        self.multiple = multiple
        self.squeeze = nn.Conv2d(channels, reduced, 1)
        self.stride = conv(reduced, reduced, 3, stride=2, padding=0)
        self.pool = nn.MaxPool2d(7, stride=3)
        layers = [conv(reduced, reduced, 3, padding=1)]
        for _ in range(num_convs - 1):
            layers += [act(), conv(reduced, reduced, 3, padding=1)]
        self.context = nn.Sequential(*layers)
        self.skip = nn.Conv2d(reduced, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return in_strips(self._gated, x, *self._seen(x))

    def gate(self, x: Tensor) -> Tensor:
        """Do the same to a map that is of no use afterwards, and may be overwritten."""
        return in_strips(self._gated, x, *self._seen(x), into=x)

    def _seen(self, x: Tensor) -> tuple[Tensor, ResizedMap]:
        """Return x narrowed, and what the pooled view of it says, both (N, reduced, H, W)."""
        if not is_traced() and min(x.shape[-2:]) < self.WINDOW:
            raise ValueError(
                f"ESA pools {self.WINDOW} pixels each way, got a map of {tuple(x.shape[-2:])}; "
                f"sr_zoo.blocks.pad_to_minimum(x, {self.WINDOW}) makes it large enough"
            )
        squeezed = self.squeeze(x)
        context = ResizedMap(
            self.context(self.pool(self.stride(squeezed))),  # (N, reduced, ~H/6, ~W/6)
            (x.shape[-2], x.shape[-1]),
            window=self.WINDOW,
            stride=self.STRIDE,
            multiple=self.multiple,
        )
        return squeezed, context

    def _gated(self, x: Tensor, squeezed: Tensor, context: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(context + self.skip(squeezed)))
