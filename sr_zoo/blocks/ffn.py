"""Feed-forward blocks: mixing channels, pixel by pixel or nearly so."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.conv import half_convs
from sr_zoo.blocks.separable import separable_parts


class MLP(nn.Sequential):
    """Feed-forward block of a transformer: a linear layer, an activation, a linear layer.

    Shape: (..., channels) to the same; with `conv1x1` for layer (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        hidden: Width inside.
        act: Builds the activation.
        layer: Builds a linear layer from input and output width.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        *,
        act: Callable[[], nn.Module] = nn.GELU,
        layer: Callable[[int, int], nn.Module] = nn.Linear,
    ) -> None:
        super().__init__(layer(channels, hidden), act(), layer(hidden, channels))


class ResidualDepthwiseFFN(nn.Module):
    """An MLP whose hidden features see their neighbours by a depthwise convolution, added to them.

    Source: Zhou et al., SRFormer, ICCV 2023, section 3.2 (ConvFFN); in CFSR (Wu et al., IEEE TIP
    2024) too.

    Shape: (N, H, W, channels) to the same.

    Args:
        channels: Width of the input and of the output.
        hidden: Width inside.
        kernel_size: Of the depthwise convolution; odd.
    """

    def __init__(self, channels: int, hidden: int, *, kernel_size: int) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(
            hidden, hidden, kernel_size, padding=kernel_size // 2, groups=hidden
        )
        self.project = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.expand(x))
        local = F.gelu(self.depthwise(channels_first(hidden)))
        return self.project(hidden + channels_last(local))


class ConvFFN(nn.Sequential):
    """Feed-forward block that also sees the neighbours: 3x3 to `hidden`, GELU, 1x1 back.

    Source: SAFMN (Sun et al., ICCV 2023), section 3.3 (CCM, convolutional channel mixer).

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        hidden: Width inside.
        bias: Whether the convolutions have one.
    """

    def __init__(self, channels: int, hidden: int, *, bias: bool = True) -> None:
        super().__init__(
            nn.Conv2d(channels, hidden, 3, padding=1, bias=bias),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1, bias=bias),
        )


class GatedFFN(nn.Module):
    """Feed-forward block in which one half of the features gates the other.

    1x1 and GELU to `hidden` features, split into values and gates; the gates see their neighbours
    through a depthwise convolution and multiply the values; 1x1 and GELU back. Source: SeemoRe
    (Zamfir et al., ICML 2024), section 3; the last GELU is in the authors' code.

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        hidden: Width inside, values and gates together; even.
        kernel_size: Of the gate's depthwise convolution; odd.

    Raises:
        ValueError: `hidden` is odd.
    """

    def __init__(self, channels: int, hidden: int, *, kernel_size: int = 3) -> None:
        if hidden % 2:
            raise ValueError(f"hidden must be even, got {hidden}")
        super().__init__()
        half = hidden // 2
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.gate = nn.Conv2d(half, half, kernel_size, padding=kernel_size // 2, groups=half)
        self.project = nn.Conv2d(half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        to_values, to_gates = half_convs(self.expand)
        # in one expression, so that no map outlives its use
        gated = F.gelu(to_values(x)) * self.gate(F.gelu(to_gates(x)))
        return F.gelu(self.project(gated))


class GatedDepthwiseFFN(nn.Module):
    """Feed-forward block in which both halves see their neighbours, then one gates the other.

    1x1 and a depthwise 3x3 to twice `hidden` features, half of them through GELU times the other
    half, 1x1 back; no biases. Source: Zamir et al., Restormer, CVPR 2022, section 3.2 (GDFN).

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input and of the output.
        hidden: Width of each half.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(
            2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False
        )
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gates, values = separable_parts(x, (self.expand, self.depthwise), 2)
        return self.project(F.gelu(gates) * values)


class TransformerLayer(nn.Module):
    """Attention and a feed-forward block, each normalised before and skipped around.

    Source: Xiong et al., On Layer Normalization in the Transformer Architecture, ICML 2020.

    Shape: what all parts keep, such as (N, channels, H, W), and what the attention takes besides,
    such as masks, to the former.

    Args:
        attention: Or what stands for it.
        ffn: Feed-forward block.
        norm: Builds one normalisation.
    """

    def __init__(
        self, attention: nn.Module, ffn: nn.Module, *, norm: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.norm_attention = norm()
        self.attention = attention
        self.norm_ffn = norm()
        self.ffn = ffn

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        x = x + self.attend(self.norm_attention(x), *given)
        return x + self.ffn(self.norm_ffn(x))

    def attend(self, x: Tensor, *given: Tensor) -> Tensor:
        """Run the attention on what the norm made of the input."""
        return self.attention(x, *given)
