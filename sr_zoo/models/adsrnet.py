"""ADSRNet: a heterogeneous network whose kernels adapt to the image.

Two branches read the image: a plain chain of sixteen convolutions whose later half adds the
features of its first half in reverse order, and a heterogeneous one of five residual blocks, each a
dilated, a dynamic and a plain convolution. A dynamic convolution mixes several kernels into one for
each image, with weights that come from the average of the features. The two branches are multiplied
and enlarged by pixel shuffles.

```mermaid
flowchart LR
    x[image] --> c[mean shift]
    c --> p["16 convolutions, mirrored skips"] --> m((product))
    c --> h[3x3] --> b["5 blocks of dilated, dynamic, plain 3x3"] --> m
    m --> u[pixel shuffles] --> t[3x3] --> y[output]
```

Paper: Tian et al., 2024, arXiv:2402.15704, whose first version calls the same network HDSRNet. RGB
in [0, 1] outside, [0, 255] and mean-shifted inside.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import MeanShift, StagedUpsampler, conv2d_each, global_mean, run_stages
from sr_zoo.blocks.kernel_bank import KernelBank
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0
DEPTH = 16  # convolutions of the symmetric branch; the authors count the tail as the next
NUM_KERNELS = 4
ROUTER_REDUCTION = 4
TEMPERATURE = 40.0  # the authors' code could lower it while training and never does


class DynamicConv2d(KernelBank):
    """A 3x3 convolution with a kernel of its own for each image, mixed from several.

    Source: Chen et al., Dynamic Convolution, CVPR 2020.

    Shape: (N, channels, H, W) to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, NUM_KERNELS)
        self.router = nn.Sequential(
            nn.Conv2d(channels, channels // ROUTER_REDUCTION, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // ROUTER_REDUCTION, NUM_KERNELS, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits = self.router(global_mean(x)).flatten(1)
        share = (logits / TEMPERATURE).softmax(dim=-1)
        if torch.compiler.is_compiling():
            # exported files know no number of groups that depends on the batch
            every = F.conv2d(x, self.weight, self.bias.flatten(), padding=1)
            every = torch.unflatten(every, 1, (NUM_KERNELS, -1))
            return (share[..., None, None, None] * every).sum(1)
        weight = torch.einsum("ne,eoihw->noihw", share, self.kernels())
        return conv2d_each(x, weight, share @ self.bias, padding=1)


class HeterogeneousBlock(nn.Module):
    """Dilated, dynamic and plain convolution, each activated, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2, bias=False),
            nn.ReLU(),
            DynamicConv2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class SymmetricBranch(nn.Module):
    """Activated 3x3 convolutions; each of the later half adds what its mirror image gave."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [3] + [channels] * (DEPTH - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, channels, 3, padding=1, bias=False) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        features: list[Tensor] = []
        half = DEPTH // 2
        for i, conv in enumerate(self.convs):
            x = torch.relu(conv(x))
            if i < half:
                features.append(x)
            else:
                x = x + features.pop()
        return x


class ADSRNet(SRNetwork):
    """Two branches multiplied with each other; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width; at least 4.
        num_blocks: Heterogeneous blocks.
    """

    def __init__(self, *, scale: int, channels: int = 64, num_blocks: int = 5) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.symmetric = SymmetricBranch(channels)
        self.heterogeneous = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1, bias=False),
            nn.ReLU(),
            *(HeterogeneousBlock(channels) for _ in range(num_blocks)),
        )
        self.upsampler = StagedUpsampler(channels, scale)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mean_shift(x) * PIXEL_MAX
        features = self.heterogeneous(x) * self.symmetric(x)
        out = run_stages(features, self.upsampler, self.tail, scale=self.scale)
        return self.mean_shift.restore(out / PIXEL_MAX)


SPEC = ArchSpec(
    network=ADSRNet,
    variants={"adsrnet": Variant(halo=23)},
    paper=Paper(
        "Adaptive Convolutional Neural Network for Image Super-resolution",
        "-",
        2024,
        "2402.15704",
    ),
    tags=("cnn", "dynamic"),
    reference="hellloxiaotian/ADSRNet",
    global_statistics=True,
)
