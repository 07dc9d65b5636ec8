"""IPT: image processing transformer.

One transformer, encoder and decoder over the tokens of a patch, serves several tasks; each has a
convolutional head, a tail and an embedding that asks the decoder for its output. It was made to be
trained once on much data and fine-tuned afterwards. The transformer knows patches of one size only:
larger images are cut into overlapping patches and put together from their middles, as the authors'
evaluation code does; smaller ones are filled up by repeating the last row and column.

```mermaid
flowchart LR
  x([patch]) --> head["head: 3x3, two 5x5 residual blocks"]
  head --> tokens["3x3 tokens, linear, positions"] --> encoder["encoder: attention, MLP"]
  encoder --> decoder["decoder: two attentions, MLP"]
  task["task embedding"] -- queries --> decoder --> mlp["MLP, fold"] --> add((+))
  head --> add --> tail["tail: pixel shuffles, 3x3"] --> y([HR patch])
```

Paper: Chen et al., CVPR 2021, arXiv:2012.00364. RGB in [0, 1] outside, [0, 255] and mean-shifted
inside.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks import (
    MLP,
    MeanShift,
    StagedUpsampler,
    crop,
    hooked_weight,
    is_plain,
    join_heads,
    pad_to_minimum,
    split_heads,
)
from sr_zoo.network import SRNetwork
from sr_zoo.spec import ArchSpec, Paper, Variant

PIXEL_MAX = 255.0
TOKEN = 3  # sides of the square of pixels that becomes a token
MLP_EXPANSION = 4
PATCHES_AT_ONCE = 64


class ResidualBlock(nn.Module):
    """5x5, ReLU, 5x5, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 5, padding=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Attention(nn.Module):
    """Multi-head attention without biases; queries and keys differ from what values come from."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.project = nn.Linear(dim, dim, bias=False)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Map queries, keys and values (N, tokens, dim) to (N, tokens, dim)."""
        inputs = (query, key, value)
        if is_plain(self.qkv):
            weights = hooked_weight(self.qkv).chunk(3)
            parts = [F.linear(x, weight) for x, weight in zip(inputs, weights, strict=True)]
        else:
            parts = [self.qkv(x).chunk(3, dim=-1)[part] for part, x in enumerate(inputs)]
        heads = [split_heads(part, self.num_heads) for part in parts]
        out = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        return self.project(join_heads(out))


class EncoderLayer(nn.Module):
    """Self-attention and an MLP, each normalised before and skipped around."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = MLP(dim, MLP_EXPANSION * dim, act=nn.ReLU)

    def forward(self, x: Tensor) -> Tensor:
        normal = self.norm_attention(x)
        x = x + self.attention(normal, normal, normal)
        return x + self.mlp(self.norm_mlp(x))


class DecoderLayer(nn.Module):
    """Self-attention, attention to what the encoder made, and an MLP; the task joins the queries.

    The task's embedding is added to queries and keys of self-attention, but only to the queries of
    the other.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads)
        self.norm_memory = nn.LayerNorm(dim)
        self.memory_attention = Attention(dim, num_heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = MLP(dim, MLP_EXPANSION * dim, act=nn.ReLU)

    def forward(self, x: Tensor, memory: Tensor, task: Tensor) -> Tensor:
        normal = self.norm_attention(x)
        x = x + self.attention(normal + task, normal + task, normal)
        x = x + self.memory_attention(self.norm_memory(x) + task, memory, memory)
        return x + self.mlp(self.norm_mlp(x))


class PatchTransformer(nn.Module):
    """Encoder and decoder over the tokens of one patch; (N, C, P, P) to the same."""

    def __init__(
        self, channels: int, patch_size: int, depth: int, num_heads: int, num_tasks: int
    ) -> None:
        super().__init__()
        dim = channels * TOKEN**2
        tokens = (patch_size // TOKEN) ** 2
        self.patch_size = patch_size
        self.embed = nn.Linear(dim, dim)
        self.positions = nn.Parameter(torch.randn(tokens, dim))
        self.tasks = nn.Parameter(torch.randn(num_tasks, tokens * dim))
        self.encoder = nn.Sequential(*(EncoderLayer(dim, num_heads) for _ in range(depth)))
        self.decoder = nn.ModuleList(DecoderLayer(dim, num_heads) for _ in range(depth))
        self.mlp = MLP(dim, MLP_EXPANSION * dim, act=nn.ReLU)

    def forward(self, x: Tensor, task: int) -> Tensor:
        tokens = F.unfold(x, TOKEN, stride=TOKEN).transpose(1, 2)
        memory = self.encoder(self.embed(tokens) + tokens + self.positions)
        query = self.tasks[task].reshape(self.positions.shape)
        out = memory
        for layer in self.decoder:
            out = layer(out, memory, query)
        out = self.mlp(out) + out
        return F.fold(out.transpose(1, 2), (self.patch_size, self.patch_size), TOKEN, stride=TOKEN)


class Blend(NamedTuple):
    """How overlapping patches are put together along one axis; each is (patches, HR cells)."""

    weights: Tensor
    first_alone: Tensor  # the weights where the first patch is not blended, as far as it reaches
    cells: Tensor  # where in the image they lie


class IPT(SRNetwork):
    """One transformer, a head and a tail per task; (N, 3, H, W) to (N, 3, scale*H, scale*W).

    Args:
        scale: Upscaling factor; 1 for denoising and deraining.
        channels: Feature width.
        patch_size: Sides of the patches; a multiple of 12.
        depth: Layers of the encoder, and of the decoder.
        num_heads: Of all attention.
        task_scales: Upscaling factor of each task that the network has a head, a tail and an
            embedding for; None for one task of `scale`. The paper's has (2, 3, 4, 1, 1, 1).
        task: Which of them runs and learns; None for the first of `scale`.

    Raises:
        ValueError: `task` is no task of `scale`, or there is none; or patches cannot be cut into
            tokens and quarters.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        patch_size: int = 48,
        depth: int = 12,
        num_heads: int = 12,
        task_scales: Sequence[int] | None = None,
        task: int | None = None,
    ) -> None:
        super().__init__(scale)
        task_scales = (scale,) if task_scales is None else tuple(task_scales)
        fitting = [i for i, factor in enumerate(task_scales) if factor == scale]
        if not fitting or task not in (None, *fitting):
            raise ValueError(
                f"task={task} is no task of scale {scale}; with task_scales={task_scales} these "
                f"are: {fitting or 'none'}"
            )
        if patch_size % (4 * TOKEN):  # tokens, and steps of a quarter
            raise ValueError(f"patch_size must be a multiple of {4 * TOKEN}, got {patch_size}")
        self.task = fitting[0] if task is None else task
        self.patch_size = self.least_side = patch_size
        self.mean_shift = MeanShift()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(3, channels, 3, padding=1),
                ResidualBlock(channels),
                ResidualBlock(channels),
            )
            for _ in task_scales
        )
        self.body = PatchTransformer(channels, patch_size, depth, num_heads, len(task_scales))
        self.tails = nn.ModuleList(
            nn.Sequential(StagedUpsampler(channels, factor), nn.Conv2d(channels, 3, 3, padding=1))
            for factor in task_scales
        )
        for ends in (self.heads, self.tails):
            ends.requires_grad_(False)  # processes wait for the gradients of all that learns
            ends[self.task].requires_grad_(True)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = self.mean_shift(pad_to_minimum(x, self.least_side)) * PIXEL_MAX
        rows = patch_starts(x.shape[-2], self.patch_size, x.device)
        columns = patch_starts(x.shape[-1], self.patch_size, x.device)
        down = self._blend(rows, x.shape[-2])
        across = self._blend(columns, x.shape[-1])
        out = x.new_zeros(*x.shape[:2], x.shape[-2] * self.scale, x.shape[-1] * self.scale)
        if torch.compiler.is_compiling():  # a graph cannot hold a loop of unknown length
            out = self._add_rows(out, x, rows, columns, down, across)
        else:  # one row of patches at once, since they overlap to 16 times the picture
            for i in range(len(rows)):
                of_row = Blend(*(values[i : i + 1] for values in down))
                out = self._add_rows(out, x, rows[i : i + 1], columns, of_row, across)
        out = self.mean_shift.restore(out / PIXEL_MAX)
        return crop(out, self.scale * height, self.scale * width)

    def _add_rows(
        self, out: Tensor, x: Tensor, rows: Tensor, columns: Tensor, down: Blend, across: Blend
    ) -> Tensor:
        """Run the patches that start at `rows`, and add what they say of each pixel, weighted."""
        side = torch.arange(self.patch_size, device=x.device)
        row_cells, column_cells = rows[:, None] + side, columns[:, None] + side
        patches = x[:, :, row_cells[:, None, :, None], column_cells[None, :, None, :]]
        patches = patches.permute(2, 3, 0, 1, 4, 5)  # (down, across, N, 3, P, P)
        parts = torch.unflatten(self._run(patches.flatten(0, 2)), 0, patches.shape[:3])
        # above the middles of the first row, its first patch is not blended with its neighbours
        top = (down.cells < self.patch_size // 4 * self.scale)[:, None, :, None]
        weights = torch.where(top, across.first_alone[:, None, :], across.weights[:, None, :])
        weights = down.weights[:, None, :, None] * weights
        parts = parts * weights[:, :, None, None]
        strips = parts.permute(2, 3, 0, 4, 1, 5).flatten(2, 3).flatten(3, 4)
        lines = strips.new_zeros(*strips.shape[:3], out.shape[-1])
        lines = lines.index_add(3, across.cells.flatten(), strips)
        return out.index_add_(2, down.cells.flatten(), lines)

    def _run(self, patches: Tensor) -> Tensor:
        """Run the network proper, on a bounded number of patches at once."""
        if torch.compiler.is_compiling():
            return self._run_patches(patches)
        return torch.cat([self._run_patches(some) for some in patches.split(PATCHES_AT_ONCE)])

    def _run_patches(self, patches: Tensor) -> Tensor:
        features = self.heads[self.task](patches)
        return self.tails[self.task](features + self.body(features, self.task))

    def _blend(self, starts: Tensor, length: int) -> Blend:
        """Return how patches with these starts are put together along one axis.

        The middle halves of the patches on the grid are averaged; the first patch alone gives what
        lies before its middle. The last patch, flush with the border, alone gives what lies behind
        the middle of its overlap with the grid.
        """
        scale, patch = self.scale, self.patch_size
        rest = (length - patch) % (patch // 4)
        switch = (length - rest) * scale - (patch - rest) * scale // 2
        cells = (starts * scale)[:, None] + torch.arange(patch * scale, device=starts.device)
        first = (starts == 0)[:, None]
        on_grid = (starts % (patch // 4) == 0)[:, None]
        lower = (starts * scale)[:, None] + patch // 4 * scale
        upper = lower + patch // 2 * scale
        inside = (first | (cells >= lower)) & (cells < upper) & (cells < switch) & on_grid
        last = (starts == length - patch)[:, None] & (cells >= switch)
        weights = (inside | last).to(self.mean_shift.mean.dtype)
        total = weights.new_zeros(length * scale).index_add(0, cells.flatten(), weights.flatten())
        weights = weights / total[cells]
        covered = (cells < patch * scale) & (cells < switch)
        return Blend(weights, torch.where(covered, first.to(weights.dtype), weights), cells)


def patch_starts(length: int, patch: int, device: torch.device) -> Tensor:
    """Return where patches start along an axis: every quarter of a patch, the last one flush."""
    stride = patch // 4
    count = (length - patch + stride - 1) // stride + 1
    return torch.clamp(torch.arange(count, device=device) * stride, max=length - patch)


SPEC = ArchSpec(
    network=IPT,
    variants={
        "ipt": Variant(halo=47),
        "ipt_small": Variant(
            halo=23,
            arguments={
                "channels": 16,
                "patch_size": 24,
                "depth": 2,
                "task_scales": (2, 3, 4),
            },
        ),
    },
    paper=Paper("Pre-Trained Image Processing Transformer", "CVPR", 2021, "2012.00364"),
    tags=("transformer",),
    reference="huawei-noah/Pretrained-IPT",
    reference_license="Apache-2.0",
    grid=12,
)
