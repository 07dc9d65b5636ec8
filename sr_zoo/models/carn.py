"""CARN: cascading residual network.

Residual blocks in a cascade: behind each, a 1x1 convolution mixes the cascade's input with what all
blocks so far gave, so that early features reach the end by short ways. The network is itself a
cascade of three such cascades. CARN-M groups its 3x3 convolutions and applies one residual block
three times with the same weights.

```mermaid
flowchart LR
  x([features]) --> b1["block 1"] --> m1["1x1, ReLU"] --> b2["block 2"] --> m2["1x1, ReLU"]
  m2 --> b3["block 3"] --> m3["1x1, ReLU"] --> y([features])
  x --> m1 & m2 & m3
  b1 --> m2 & m3
  b2 --> m3
```

Paper: Ahn, Kang and Sohn, ECCV 2018, arXiv:1803.08664. RGB in [0, 1], mean-shifted inside.

The authors' weights serve x2, x3 and x4 at once: a network of any scale holds the upsamplers of all
of them and runs its own, so that one file loads whole at each scale. The others do not learn.
The `carn_single` and `carn_m_single` forms, trained for one scale, hold one upsampler.
`carn_m_pcsr` is the static network that PCSR is compared with (Jeong et al., ECCV 2024).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from sr_zoo.blocks import (
    CARNTrunk,
    Cascade,
    CascadeResidualBlock,
    MeanShift,
    StagedUpsampler,
    run_stages,
)
from sr_zoo.blocks.cascade import CASCADE, normalised_conv
from sr_zoo.blocks.reparameterisable import Reparameterisable
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant


class MultiScaleUpsampler(nn.ModuleDict, Reparameterisable):
    """One upsampler per scale, of which one runs; the others are frozen."""

    def __init__(self, upsamplers: dict[int, nn.Module], scale: int) -> None:
        super().__init__({f"x{s}": upsampler for s, upsampler in upsamplers.items()})
        self.scale = scale
        self.requires_grad_(False)  # processes wait for the gradients of all that learns
        self.fuse().requires_grad_(True)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse()(x)

    def fuse(self) -> nn.Module:
        """Return the one upsampler that runs."""
        return self[f"x{self.scale}"]


class CARN(SRNetwork):
    """Cascades of cascades of residual blocks; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        groups: Of all 3x3 convolutions between the first and the last.
        residual_blocks: Residual blocks of each inner cascade that have weights of their own; 3, or
            fewer that are applied in turn, such as 1 three times.
        shared_scales: All scales that the weights serve; empty if they serve `scale` alone.

    Raises:
        ValueError: `scale` is none of the shared ones.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        groups: int = 1,
        residual_blocks: int = CASCADE,
        shared_scales: Sequence[int] = (),
    ) -> None:
        super().__init__(scale)
        if shared_scales and scale not in shared_scales:
            raise ValueError(f"scale must be one of {tuple(shared_scales)}, got {scale}")
        upsampler = partial(
            StagedUpsampler, channels, conv=partial(nn.Conv2d, groups=groups), act=nn.ReLU
        )
        blocks = (
            Cascade(
                channels, (CascadeResidualBlock(channels, groups) for _ in range(residual_blocks))
            )
            for _ in range(CASCADE)
        )
        self.mean_shift = MeanShift()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = Cascade(channels, blocks)
        self.upsampler: nn.Module = (
            MultiScaleUpsampler({s: upsampler(s) for s in shared_scales}, scale)
            if shared_scales
            else upsampler(scale)
        )
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.body(self.head(self.mean_shift(x)))
        out = run_stages(deep, self.upsampler, self.tail, scale=self.scale)
        return self.mean_shift.restore(out)


class NormalisedCARN(SRNetwork):
    """CARN-M whose cascades normalise what they mix; (N, 3, H, W) to (N, 3, scale*H, scale*W)."""

    def __init__(self, *, scale: int, channels: int = 64, groups: int = 4) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.trunk = CARNTrunk(channels, groups, mix=normalised_conv)
        self.upsampler = StagedUpsampler(
            channels, scale, conv=partial(nn.Conv2d, groups=groups), act=nn.ReLU
        )
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.trunk(self.mean_shift(x))
        out = run_stages(deep, self.upsampler, self.tail, scale=self.scale)
        return self.mean_shift.restore(out)


ALL_SCALES = {"shared_scales": (2, 3, 4)}
EFFICIENT = {"groups": 4, "residual_blocks": 1}

SPEC = ArchSpec(
    network=CARN,
    variants={
        "carn": Variant(halo=21, arguments=ALL_SCALES),
        "carn_m": Variant(halo=21, arguments={**ALL_SCALES, **EFFICIENT}),
        "carn_single": Variant(halo=21),
        "carn_m_single": Variant(halo=21, arguments=EFFICIENT),
    },
    paper=Paper(
        "Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network",
        "ECCV",
        2018,
        "1803.08664",
    ),
    tags=("cnn",),
    reference="nmhkahn/CARN-pytorch",
    reference_license="MIT",
)
OTHER_FORMS = (
    replace(
        SPEC,
        network=NormalisedCARN,
        variants={"carn_m_pcsr": Variant(halo=21, scales=(4,))},
        reference="3587jjh/PCSR",
        reference_license=None,
    ),
)
