"""AsConvSR: convolutions whose kernels are assembled anew for each image.

An assembled convolution holds several candidate kernels and mixes them, output channel by output
channel, in shares that a small control branch reads off the whole image; it then costs as much as
one convolution. Three of them in a row share the control branch and work on pixels folded 2x2. What
they give is added to the repeated input.

```mermaid
flowchart LR
  x([image]) --> head["fold 2x2, 3x3"] --> convs["3 assembled 3x3"] --> tail["3x3, unfold"]
  head --> mean["mean over the image"] --> control["1x1, ReLU, 1x1, softmax"]
  control -- shares --> convs
  tail --> add((+)) --> shuffle["pixel shuffle"] --> y([HR image])
  x --> repeats["repeat each colour"] --> add
```

Paper: Guo et al., CVPRW 2023, arXiv:2305.03387. RGB in [0, 1], no mean shift.

The authors' code is not public. Layer sizes, three candidate kernels, the softmax over them and the
missing activations are those of a third-party implementation, in which the enlarged input mixes the
colours; `asconvsr` repeats each colour, as the paper means it, `asconvsr_thirdparty` is that
implementation as it is. Neither claims a published number: the authors' challenge network has over
twenty times as many candidates' weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import conv2d_each, crop, global_mean, pad_to_multiple
from sr_zoo.blocks.kernel_bank import KernelBank
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

DOWN = 2  # the network works on pixels folded 2x2
TEMPERATURE = 30.0
CONTROL_REDUCTION = 4
NUM_CONVS = 3


class AssembledConv(KernelBank):
    """A 3x3 convolution whose kernels are mixtures of candidates, for each image and channel.

    Shape: features (N, channels, H, W) and shares (N, channels, candidates) to (N, channels, H, W).
    """

    def __init__(self, channels: int, num_candidates: int) -> None:
        # drawn uniformly: the implementation's normal draws make values of hundreds
        super().__init__(channels, num_candidates)

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self._mixed_outputs(x, shares)
        kernels = torch.einsum("noe,eoihw->noihw", shares, self.kernels())
        bias = torch.einsum("noe,eo->no", shares, self.bias)
        return conv2d_each(x, kernels, bias, padding=1)

    def _mixed_outputs(self, x: Tensor, shares: Tensor) -> Tensor:
        """Mix what the candidates give: slower, but exports for any number of images."""
        candidates = F.conv2d(x, self.weight, self.bias.flatten(), padding=1)
        outputs = torch.unflatten(candidates, 1, self.bias.shape)
        return torch.einsum("noe,neohw->nohw", shares, outputs)


class AssembledBlock(nn.Module):
    """Assembled convolutions in a row; one look at the whole image sets the shares of them all."""

    def __init__(self, channels: int, num_candidates: int) -> None:
        super().__init__()
        reduced = channels // CONTROL_REDUCTION
        self.control = nn.Sequential(
            nn.Conv2d(channels, reduced, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(reduced, channels * num_candidates, 1, bias=False),
        )
        self.convs = nn.ModuleList(
            AssembledConv(channels, num_candidates) for _ in range(NUM_CONVS)
        )
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        logits = self.control(global_mean(x, stride=DOWN)).flatten(1) / TEMPERATURE
        shares = torch.unflatten(logits, 1, (self.channels, -1)).softmax(dim=-1)
        for conv in self.convs:
            x = conv(x, shares)
        return x


class AsConvSR(SRNetwork):
    """Adds to the repeated input; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_candidates: Kernels that each assembled convolution mixes.
        repeated: Input channel that each of the 3 * scale**2 planes of the enlarged input repeats,
            in the order of the pixel shuffle; None for red, green and blue scale**2 times each.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 32,
        num_candidates: int = 3,
        repeated: Sequence[int] | None = None,
    ) -> None:
        super().__init__(scale)
        planes = 3 * scale**2
        self.repeated = [plane // scale**2 for plane in range(planes)]
        if repeated is not None:
            self.repeated = list(repeated)
        self.head = nn.Conv2d(3 * DOWN**2, channels, 3, padding=1)
        self.body = AssembledBlock(channels, num_candidates)
        self.tail = nn.Conv2d(channels, planes * DOWN**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, DOWN)
        features = self.tail(self.body(self.head(F.pixel_unshuffle(x, DOWN))))
        planes = F.pixel_shuffle(features, DOWN) + x[:, self.repeated]
        return crop(F.pixel_shuffle(planes, self.scale), self.scale * height, self.scale * width)


SPEC = ArchSpec(
    network=AsConvSR,
    variants={
        "asconvsr": Variant(halo=11, scales=(2,)),
        "asconvsr_thirdparty": Variant(halo=11, scales=(2,), arguments={"repeated": (0, 1, 2) * 4}),
    },
    paper=Paper(
        "AsConvSR: Fast and Lightweight Super-Resolution Network with Assembled Convolutions",
        "CVPRW",
        2023,
        "2305.03387",
    ),
    tags=("cnn", "dynamic", "mobile", "reading"),
    grid=DOWN,
    global_statistics=True,
)
