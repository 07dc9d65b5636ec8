"""SRVGGNetCompact: plain convolutions at LR size, in two sizes, for video and photographs.

The small networks of Real-ESRGAN, made for speed: one 3x3 convolution after another, each with a
PReLU of one slope per channel. All of them run at LR size; the last one's channels are shuffled
into pixels, to which the repeated input is added, so that the network learns only what is missing.

```mermaid
flowchart LR
  x([LR]) --> head["3x3, PReLU"] --> body["(3x3, PReLU) x n"] --> tail["3x3"]
  tail --> shuffle["pixel shuffle"] --> add((+)) --> y([HR])
  x --> nearest["repeat pixels"] --> add
```

Paper: Wang et al., ICCV Workshops 2021, arXiv:2107.10833. RGB in [0, 1]. The paper's own network is
RRDBNet; its authors added this one to their code later, without a paper. They call 16 inner
convolutions size XS and 32 size S.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class SRVGGNet(SRNetwork):
    """Plain convolutions and the repeated input; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_convs: Convolutions between the first and the last.
    """

    def __init__(self, *, scale: int, channels: int = 64, num_convs: int = 16) -> None:
        super().__init__(scale)
        inner = (
            layer
            for _ in range(num_convs)
            for layer in (nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels))
        )
        self.body = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1),
            nn.PReLU(channels),
            *inner,
            nn.Conv2d(channels, 3 * scale**2, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        base = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return F.pixel_shuffle(self.body(x), self.scale) + base


SPEC = ArchSpec(
    network=SRVGGNet,
    variants={
        "srvgg_xs": Variant(halo=18),
        "srvgg_s": Variant(halo=34, arguments={"num_convs": 32}),
    },
    paper=Paper(
        "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data",
        "ICCV Workshops",
        2021,
        "2107.10833",
    ),
    tags=("cnn", "mobile"),
    reference="xinntao/Real-ESRGAN",
    reference_license="BSD-3-Clause",
)
