"""SMSR: sparse mask super-resolution.

Each of five modules predicts from the features which pixels are important, and learns for each of
its channels whether it is computed everywhere or at important pixels only. Evaluation in the dense
form computes all and masks; `SMSR.spend` gathers the important pixels and computes no others. A
budget moves the border between important and not, so that the wanted share of pixels is computed.

Paper: Wang et al., CVPR 2021, arXiv:2006.09603. RGB in [0, 1] outside; mean-shifted and in
[0, 255] units inside.

```mermaid
flowchart LR
    lr[LR] --> shift[mean shift] --> head[conv, ReLU, conv] --> m1[SMM 1] --> m2[...] --> m5[SMM 5]
    m1 & m2 & m5 --> collect[conv 1x1, ReLU, conv] --> add((+)) --> shuffle[conv, pixel shuffle]
    head --> add
    shift --> bicubic --> out((+))
    shuffle --> out --> SR
```
"""

import operator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    CALayer,
    MeanShift,
    PixelShuffleUpsampler,
    conv3x3,
    crop,
    hooked_weight,
    pad_to_minimum,
)
from sr_zoo.blocks.sparse import highest, masked_conv3x3
from sr_zoo.dynamic import Budget, DynamicNetwork, Effort, affordable
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0
MASK_WIDTH = 16  # of the branch that predicts which pixels are important
# share of pixels from which computing all of them is quicker than gathering
DENSE_FROM = 0.9


class SparseMaskModule(nn.Module):
    """Convolutions whose channels are computed everywhere or at important pixels only (SMM)."""

    def __init__(self, channels: int, num_layers: int, reduction: int) -> None:
        super().__init__()
        self.importance = nn.Sequential(
            conv3x3(channels, MASK_WIDTH),
            nn.ReLU(),
            nn.AvgPool2d(2),
            conv3x3(MASK_WIDTH, MASK_WIDTH),
            nn.ReLU(),
            nn.ConvTranspose2d(MASK_WIDTH, 2, 3, stride=2, padding=1, output_padding=1),
        )
        # logits (dense, sparse) of each channel of each layer
        self.kinds = nn.Parameter(torch.rand(1, channels, num_layers, 2))
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(num_layers)
        )
        self.collect = nn.Conv2d(num_layers * channels, channels, 1)
        self.attention = CALayer(channels, channels // reduction)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.logits(x)
        if self.training:
            mask = F.gumbel_softmax(logits, dim=1)[:, 1:]
            dense = F.gumbel_softmax(self.kinds, dim=-1)[..., 0]
        else:
            mask = _step(logits[:, 1:] - logits[:, :1])
            dense = self.dense.to(x.dtype)
        return self.masked(x, self.fit(mask, x), dense)

    def logits(self, x: Tensor) -> Tensor:
        """Score pixels as (unimportant, important): (N, 2, h, w), even sizes, rounded down."""
        return self.importance(pad_to_minimum(x, 2))

    @staticmethod
    def fit(mask: Tensor, x: Tensor) -> Tensor:
        """Give a mask the size of the features; what it lacks at the bottom and right is zero."""
        return crop(F.pad(mask, (0, 1, 0, 1)), *x.shape[-2:])

    @property
    def dense(self) -> Tensor:
        """Which channels are computed everywhere: (1, channels, num_layers)."""
        return self.kinds[..., 0] > self.kinds[..., 1]

    def masked(self, x: Tensor, mask: Tensor, dense: Tensor) -> Tensor:
        """Compute everything everywhere, then mask.

        Args:
            x: (N, C, H, W).
            mask: (N, 1, H, W), 1 where pixels are important.
            dense: (1, C, num_layers), 1 for channels that are computed everywhere.
        """
        features, current = [], x
        before = torch.ones_like(dense[..., 0]).view(1, -1, 1, 1)
        for layer, conv in enumerate(self.convs):
            own = dense[..., layer].view(1, -1, 1, 1)
            gate = own + (1 - own) * mask
            out = conv(current * before) * gate
            if layer > 0:
                out = out + conv(current * (1 - before)) * mask
            current, before = torch.relu(out), own
            features.append(current)
        return x + self.attention(self.collect(torch.cat(features, dim=1)))

    def plain(self, x: Tensor) -> Tensor:
        """Compute everything, every pixel being important."""
        features, current = [], x
        for conv in self.convs:
            current = torch.relu(conv(current))
            features.append(current)
        return x + self.attention(self.collect(torch.cat(features, dim=1)))

    def optional_macs(self) -> int:
        """Return how many multiply-adds an unimportant pixel saves."""
        channels = before = self.kinds.shape[1]
        macs = 0
        for dense in self.dense[0].sum(0).tolist():
            macs += 9 * (channels**2 - before * dense) + channels * (channels - dense)
            before = dense
        return macs

    def sparse(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute what `masked` keeps and nothing else.

        Args:
            x: (1, C, H, W).
            mask: (1, 1, H, W), boolean.
        """
        chosen = mask.flatten().nonzero().flatten()
        channels = x.shape[1]
        dense = [kinds.nonzero().flatten() for kinds in self.dense[0].unbind(-1)]
        collect = hooked_weight(self.collect).flatten(1).t().to(x.dtype)
        weights = collect.split(channels)  # one per layer
        everywhere = x.new_zeros(x.shape[-2] * x.shape[-1], channels)
        important = x.new_zeros(len(chosen), channels)
        current, before = x, torch.arange(channels, device=x.device)
        kernels = map(hooked_weight, self.convs)
        for kernel, own, weight in zip(kernels, dense, weights, strict=True):
            current, at_chosen = masked_conv3x3(current, kernel, chosen, before, own)
            if len(own):
                pixels = current[0].permute(1, 2, 0).flatten(0, 1)
                everywhere.addmm_(pixels[:, own], weight[own])
            important.addmm_(at_chosen, weight)
            before = own
        everywhere[chosen] = important
        if self.collect.bias is not None:
            everywhere += self.collect.bias
        body = everywhere.view(1, *x.shape[-2:], channels).permute(0, 3, 1, 2)
        return x + self.attention(body)


class SMSR(DynamicNetwork):
    """Five sparse mask modules in a chain; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor.
        channels: Feature width.
        num_modules: Sparse mask modules.
        num_layers: 3x3 convolutions of each.
        reduction: Of the channel attention's width.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        num_modules: int = 5,
        num_layers: int = 4,
        reduction: int = 16,
    ) -> None:
        super().__init__(scale)
        self.mean_shift = MeanShift()
        self.head = nn.Sequential(conv3x3(3, channels), nn.ReLU(), conv3x3(channels, channels))
        self.body = nn.ModuleList(
            SparseMaskModule(channels, num_layers, reduction) for _ in range(num_modules)
        )
        self.collect = nn.Sequential(
            nn.Conv2d(num_modules * channels, channels, 1), nn.ReLU(), conv3x3(channels, channels)
        )
        self.upsampler = PixelShuffleUpsampler(channels, 3, scale)

    def forward(self, x: Tensor) -> Tensor:
        shifted = self.mean_shift(x) * PIXEL_MAX
        shallow = current = self.head(shifted)
        features = []
        for module in self.body:
            current = module(current)
            features.append(current)
        return self._finish(shifted, shallow, features)

    def _finish(self, shifted: Tensor, shallow: Tensor, features: list[Tensor]) -> Tensor:
        deep = shallow + self.collect(torch.cat(features, dim=1))
        enlarged = F.interpolate(shifted, scale_factor=float(self.scale), mode="bicubic")
        return self.mean_shift.restore((self.upsampler(deep) + enlarged) / PIXEL_MAX)

    @torch.no_grad()
    def spend(self, image: Tensor, budget: Budget) -> Effort:
        height, width = image.shape[-2:]
        cheapest, full = self.costs(height, width)
        wanted = None if budget.kind == "auto" else affordable(budget.value, cheapest, full)
        shifted = (self.mean_shift(image) * PIXEL_MAX).contiguous(memory_format=torch.channels_last)
        shallow = current = self.head(shifted)
        features, maps = [], {}
        for index, module in enumerate(self._modules_in_order):
            mask = module.fit(_important(module.logits(current), wanted), current)
            share = mask.float().mean().item()
            if share == 1:
                current = module.plain(current)
            elif share >= DENSE_FROM:
                current = module.masked(current, mask.to(image.dtype), module.dense.to(image.dtype))
            else:
                current = module.sparse(current, mask)
            features.append(current)
            maps[f"module {index + 1}"] = mask[0, 0].long().cpu()
        shares = [module_map.float().mean().item() for module_map in maps.values()]
        optional = [module.optional_macs() * height * width for module in self._modules_in_order]
        spent = cheapest + sum(map(operator.mul, shares, optional))
        output = self._finish(shifted, shallow, features)
        return Effort(output, ("skipped", "computed"), maps, spent, full)

    @property
    def _modules_in_order(self) -> list[SparseMaskModule]:
        return [module for module in self.body if isinstance(module, SparseMaskModule)]

    def costs(self, height: int, width: int) -> tuple[float, float]:
        full = 0.0
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                full += module.weight.numel()
        for block in self._modules_in_order:
            once = (block.attention.squeeze, block.attention.expand)
            full -= sum(conv.weight.numel() for conv in once)
            pooled = (
                m for m in block.importance[3:] if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
            )
            full -= sum(conv.weight.numel() for conv in pooled) * 3 / 4
        pixels = height * width
        optional = sum(module.optional_macs() for module in self._modules_in_order)
        return (full - optional) * pixels, full * pixels


def _step(x: Tensor) -> Tensor:
    """Return 1 where `x` is above 0, else 0; what is not a number stays so and can be traced."""
    smallest = torch.finfo(x.dtype).tiny
    return x.clamp(0.0, smallest) / smallest


def _important(logits: Tensor, share: float | None) -> Tensor:
    """Return which pixels are important: by the network's own verdict, or a share of them."""
    margin = logits[:, 1:] - logits[:, :1]
    if share is None:
        return margin > 0
    return highest(margin, share)


SPEC = ArchSpec(
    network=SMSR,
    variants={"smsr": Variant(halo=44)},
    paper=Paper(
        "Exploring Sparsity in Image Super-Resolution for Efficient Inference",
        "CVPR",
        2021,
        "2006.09603",
    ),
    tags=("cnn", "attention", "dynamic"),
    reference="LongguangWang/SMSR",
    grid=2,
    global_statistics=True,
)
